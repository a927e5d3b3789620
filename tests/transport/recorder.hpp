// A handler that remembers everything and lets a test wait for it.
#pragma once

#include "transport/transport.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace skippipe::transport::testing {

using bytes = std::vector<std::byte>;
using namespace std::chrono_literals;

/// Longer than any honest wait; a test that reaches it has failed.
inline constexpr auto patience = 30s;

struct received {
  peer_id from = 0;
  bytes header;
  buffer payload;
};

class recorder : public handler {
public:
  buffer place(peer_id from, std::span<const std::byte> header, std::size_t size,
               const buffer* offered) override {
    const std::lock_guard guard(mutex_);
    if (refuse_if && refuse_if(from, header, size))
      return {};
    placed_.emplace_back(size);
    return offered != nullptr && take_offered ? *offered : buffer::allocate(size);
  }

  void on_message(peer_id from, std::span<const std::byte> header, buffer payload) override {
    if (inside_.exchange(true))
      overlapped = true;
    {
      std::unique_lock guard(mutex_);
      messages_.push_back({from, bytes(header.begin(), header.end()), std::move(payload)});
      changed_.notify_all();
      if (hold_) {
        held_ = true;
        changed_.wait_for(guard, patience, [&] { return !hold_; });
      }
    }
    inside_ = false;
    if (then)
      then(from, header);
  }

  void on_peer_lost(peer_id peer, std::error_code reason) override {
    const std::lock_guard guard(mutex_);
    lost_.emplace_back(peer, reason);
    changed_.notify_all();
  }

  template <class Predicate>
  bool wait(Predicate p, std::chrono::nanoseconds limit = patience) {
    std::unique_lock guard(mutex_);
    return changed_.wait_for(guard, limit, [&] { return p(*this); });
  }
  bool wait_messages(std::size_t n) {
    return wait([n](recorder& r) { return r.messages_.size() >= n; });
  }
  bool wait_lost(peer_id peer, std::chrono::nanoseconds limit = patience) {
    return wait([peer](recorder& r) { return r.lost_count(peer) > 0; }, limit);
  }
  bool wait_lost_total(std::size_t n) {
    return wait([n](recorder& r) { return r.lost_.size() >= n; });
  }
  /// A message whose header starts with the 32-bit `number`.
  bool wait_number(std::uint32_t number) {
    return wait([number](recorder& r) {
      for (const auto& m : r.messages_)
        if (m.header.size() >= sizeof number
            && std::memcmp(m.header.data(), &number, sizeof number) == 0)
          return true;
      return false;
    });
  }
  void forget_payloads() {
    const std::lock_guard guard(mutex_);
    for (auto& m : messages_)
      m.payload = {};
  }
  std::vector<received> messages() {
    const std::lock_guard guard(mutex_);
    return messages_;
  }
  std::vector<std::size_t> placed() {
    const std::lock_guard guard(mutex_);
    return placed_;
  }
  std::vector<std::pair<peer_id, std::error_code>> lost() {
    const std::lock_guard guard(mutex_);
    return lost_;
  }

  /// The next message's callback blocks until `release`, as a stuck receiver would.
  void hold() {
    const std::lock_guard guard(mutex_);
    hold_ = true;
  }
  bool wait_held() {
    return wait([](recorder& r) { return r.held_; });
  }
  void release() {
    const std::lock_guard guard(mutex_);
    hold_ = held_ = false;
    changed_.notify_all();
  }

  // Set before `listen`.
  std::function<bool(peer_id, std::span<const std::byte>, std::size_t)> refuse_if;
  std::function<void(peer_id, std::span<const std::byte>)> then;
  bool take_offered = true;
  std::atomic<bool> overlapped{false}; ///< Two callbacks ran at once.

private:
  std::size_t lost_count(peer_id peer) const {
    std::size_t n = 0;
    for (const auto& [p, reason] : lost_)
      n += p == peer;
    return n;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<received> messages_;
  std::vector<std::size_t> placed_;
  std::vector<std::pair<peer_id, std::error_code>> lost_;
  std::atomic<bool> inside_{false};
  bool hold_ = false;
  bool held_ = false;
};

/// Collects the outcomes of many transfers.
class outcomes {
public:
  /// A completion that stores its outcome under `key`.
  completion as(std::size_t key) {
    return [this, key](std::error_code code) {
      const std::lock_guard guard(mutex_);
      ++calls_;
      by_key_[key] = code;
      changed_.notify_all();
    };
  }
  bool wait(std::size_t n, std::chrono::nanoseconds limit = patience) {
    std::unique_lock guard(mutex_);
    return changed_.wait_for(guard, limit, [&] { return by_key_.size() >= n; });
  }
  bool wait_key(std::size_t key, std::chrono::nanoseconds limit = patience) {
    std::unique_lock guard(mutex_);
    return changed_.wait_for(guard, limit, [&] { return by_key_.count(key) > 0; });
  }
  std::error_code of(std::size_t key) {
    const std::lock_guard guard(mutex_);
    return by_key_.at(key);
  }
  std::size_t calls() {
    const std::lock_guard guard(mutex_);
    return calls_;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::size_t, std::error_code> by_key_;
  std::size_t calls_ = 0;
};

/// `n` bytes that depend on `seed` and on their position.
inline void fill(std::span<std::byte> out, std::uint64_t seed) {
  std::uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
  for (auto& b : out) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    b = static_cast<std::byte>(x);
  }
}
inline buffer filled(std::size_t n, std::uint64_t seed) {
  buffer b = buffer::allocate(n);
  fill(b.bytes(), seed);
  return b;
}
inline bytes filled_header(std::size_t n, std::uint64_t seed) {
  bytes b(n);
  fill(b, seed);
  return b;
}
inline bool equal(const buffer& a, const buffer& b) {
  return a.size() == b.size() && std::equal(a.bytes().begin(), a.bytes().end(), b.bytes().begin());
}

} // namespace skippipe::transport::testing
