#include "runtime/gate/core.hpp"

#include <sys/epoll.h>

#include <algorithm>

namespace skippipe::runtime::gate {

namespace {

/// What one side has not taken so long after the other has gone is given up.
constexpr auto linger_time = std::chrono::seconds{5};

/// A probe asks for our clock by sending any byte; more often than this nobody needs to.
constexpr std::size_t most_questions = 32, clock_bytes = 8;

} // namespace

void gate::core::on_wire(std::uint64_t id, std::uint32_t events) {
  const auto it = tunnels_.find(id);
  if (it == tunnels_.end())
    return;
  tunnel& t = *it->second;
  if (t.at != tunnel::phase::open && t.at != tunnel::phase::closing)
    return advance(t);
  if (t.is_open_control() && t.hear_heartbeats())
    return hear(t);
  serve(t);
  // Dead both ways; epoll would not stop telling.
  if ((events & (EPOLLHUP | EPOLLERR)) != 0 && tunnels_.count(id) > 0 && !t.wire_ended) {
    t.wire_ended = true;
    serve(t);
  }
}

void gate::core::on_plain(std::uint64_t id, std::uint32_t events) {
  const auto it = tunnels_.find(id);
  if (it == tunnels_.end())
    return;
  tunnel& t = *it->second;
  t.plain_hung_up |= (events & (EPOLLHUP | EPOLLERR)) != 0;
  serve(t);
}

void gate::core::serve(tunnel& t) {
  const auto result = t.pump();
  if (t.use == purpose::probe)
    answer_probe(t);
  hear(t);
  if (!t.problem.empty() && options_.log)
    options_.log("dropped '" + t.name + "' at " + t.remote + ": " + t.problem);
  if (t.finished())
    return end(t);
  if (result == tunnel::progress::moved || (t.use == purpose::probe && !t.out.empty()))
    runnable_.insert(t.id);
  if ((t.wire_ended || t.plain_ended) && t.at == tunnel::phase::open)
    linger(t);
  watch_ends(t);
}

/// Our clock: nanoseconds since 1970, most significant byte first.
void gate::core::tell_clock(tunnel& t) {
  const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  const auto room = t.out.room();
  if (room.size() < clock_bytes)
    return;
  for (std::size_t k = 0; k < clock_bytes; ++k)
    room[k] = static_cast<std::byte>(now >> (56 - 8 * k));
  t.out.filled(clock_bytes);
}

/// Each byte that a probe sends is answered.
void gate::core::answer_probe(tunnel& t) {
  const auto asked = std::min(t.in.waiting().size(), most_questions);
  for (std::size_t i = 0; i < asked; ++i)
    tell_clock(t);
  t.in.emptied(t.in.waiting().size());
}

void gate::core::watch_ends(tunnel& t) {
  std::uint32_t wire = 0, plain = 0;
  if (!t.in.full() && !t.plain_ended)
    wire |= EPOLLIN;
  if (t.wire_wants_out)
    wire |= EPOLLOUT;
  if (!t.out.full() && !t.wire_ended)
    plain |= EPOLLIN;
  if (t.plain_wants_out)
    plain |= EPOLLOUT;
  // Of an end that has gone, epoll would not stop telling; what is left in it is read as the other end
  // takes it.
  if (!t.wire_ended && wire != t.wire_events)
    thread_.rewatch(t.wire.get(), t.wire_events = wire);
  if (t.wire_ended)
    thread_.unwatch(t.wire.get());
  if (t.plain && (t.plain_ended || t.plain_hung_up))
    thread_.unwatch(t.plain.get());
  else if (t.plain && plain != t.plain_events)
    thread_.rewatch(t.plain.get(), t.plain_events = plain);
}

/// One side has ended: the other gets what is on its way to it, within a limit.
void gate::core::linger(tunnel& t) {
  t.at = tunnel::phase::closing;
  thread_.cancel(t.timer);
  t.timer = thread_.at(clock::now() + linger_time, [this, &t] { end(t); });
}

void gate::core::end(tunnel& t) {
  thread_.cancel(t.timer);
  strangers_.leave(t.id);
  counts_.strangers = strangers_.size();
  runnable_.erase(t.id);
  const bool was_open = t.at == tunnel::phase::open || t.at == tunnel::phase::closing;
  if (was_open) {
    --counts_.open;
    const auto named = open_by_name_.find(t.name);
    if (--named->second == 0)
      open_by_name_.erase(named);
    SSL_shutdown(t.ssl.get()); // tells the peer; nobody waits for its answer
    transport::tls::ssl_problem();
  }
  if (t.wire)
    thread_.unwatch(t.wire.get());
  if (t.plain)
    thread_.unwatch(t.plain.get());
  if (t.dialed)
    std::exchange(t.dialed, {})({}, t.name, t.problem.empty() ? "the connection ended" : t.problem);
  t.wire = {};
  t.plain = {};
  const auto it = tunnels_.find(t.id);
  dead_.push_back(std::move(it->second));
  tunnels_.erase(it);
  // `poll` clears the dead after this round.
}

} // namespace skippipe::runtime::gate
