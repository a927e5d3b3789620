#include "actors/trace/ring.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace skippipe::trace {

trace_ring::trace_ring(std::size_t capacity)
    : mask_(std::bit_ceil(std::max<std::size_t>(capacity, 2)) - 1),
      slots_(std::make_unique<slot[]>(mask_ + 1)) {}

void trace_ring::record(const event& e) noexcept {
  const std::uint64_t ticket = head_.fetch_add(1, std::memory_order_relaxed);
  slot& s = slots_[ticket & mask_];
  // Two reasons to give the event up, both only after a whole lap: an older producer is still
  // writing here, or a younger one already has. drain() counts it when it passes the ticket.
  std::uint64_t seen = s.sequence.load(std::memory_order_relaxed);
  if ((seen & 1) != 0 || seen > 2 * ticket
      || !s.sequence.compare_exchange_strong(seen, 2 * ticket + 1, std::memory_order_acquire,
                                             std::memory_order_relaxed)) {
    // Unless a younger event is here, drain() would wait for this one: tell it not to. Equality
    // means that it closed this ticket, believing it to be another that was given up.
    if (seen <= 2 * ticket + 2)
      given_up_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  std::uint64_t raw[words];
  std::memcpy(raw, &e, sizeof e);
  // Release, so that a reader that sees any of these words also sees the sequence taken above.
  for (std::size_t i = 0; i < words; ++i)
    s.data[i].store(raw[i], std::memory_order_release);
  s.sequence.store(2 * ticket + 2, std::memory_order_release);
}

trace_ring::outcome trace_ring::take(std::uint64_t ticket, event& out) {
  slot& s = slots_[ticket & mask_];
  std::uint64_t seen = s.sequence.load(std::memory_order_acquire);
  if (seen < 2 * ticket + 2) {
    // The producer has not finished, or gave up. If some did, a ticket that was already here at
    // the last drain is closed, so that no lost event blocks those behind it.
    const bool may_be_given_up = (seen & 1) == 0 && stalled_at_ == ticket
                                 && closed_ != given_up_.load(std::memory_order_relaxed);
    if (!may_be_given_up
        || !s.sequence.compare_exchange_strong(seen, 2 * ticket + 2, std::memory_order_relaxed))
      return outcome::pending;
    ++closed_;
    return outcome::gone;
  }
  if (seen > 2 * ticket + 2)
    return outcome::gone;
  std::uint64_t raw[words];
  for (std::size_t i = 0; i < words; ++i)
    raw[i] = s.data[i].load(std::memory_order_acquire);
  if (s.sequence.load(std::memory_order_relaxed) != seen)
    return outcome::gone;
  std::memcpy(&out, raw, sizeof out);
  return outcome::taken;
}

void trace_ring::drain(std::vector<event>& out) {
  const std::uint64_t end = head_.load(std::memory_order_acquire);
  if (end - tail_ > capacity()) {
    overwritten_ += end - tail_ - capacity();
    tail_ = end - capacity();
  }
  event e;
  for (; tail_ != end; ++tail_) {
    switch (take(tail_, e)) {
      case outcome::taken:
        out.push_back(e);
        break;
      case outcome::gone:
        ++overwritten_;
        break;
      case outcome::pending:
        stalled_at_ = tail_;
        return;
    }
  }
}

} // namespace skippipe::trace
