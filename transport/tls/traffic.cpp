#include "transport/tls/engine.hpp"

#include <sys/epoll.h>

namespace skippipe::transport::tls {
namespace {

/// Pieces or reads per turn, so that every stream, task and deadline gets its turn.
constexpr int budget = 32;

} // namespace

/// An open stream may have become readable or writable.
void engine::serve(stream& s) {
  if (s.at != stream::phase::open)
    return advance(s);
  channel& c = *s.owner;
  if (!c.established())
    return; // paused
  receive(s);
  if (!c.dead)
    pump(c);
  if (!s.dead)
    update_events(s);
}

void engine::receive(stream& s) {
  channel& c = *s.owner;
  for (int i = 0; i < budget; ++i) {
    const auto room = c.in.room(s.index);
    s.paused = room.empty();
    if (s.paused)
      return;
    std::size_t n = 0;
    const io result = s.read(room, n);
    if (result == io::blocked)
      return;
    if (result == io::closed)
      return fail(s, errc::peer_lost, "closed");
    if (const auto problem = c.in.filled(s.index, n))
      return fail(s, problem, "malformed frames");
    if (s.index == 0)
      for (stream* other : c.streams)
        if (other->paused)
          run_later(*other); // what it waits for may be announced now
  }
  run_later(s);
}

/// Writes what the outbox has for the channel's streams until they block.
void engine::pump(channel& c) {
  bool progressed = true;
  for (int i = 0; progressed && i < budget; ++i) {
    progressed = false;
    // Stream 0 first: the others wait for what it announces.
    for (stream* s : c.streams) {
      progressed |= write_piece(*s);
      if (c.dead)
        return;
    }
  }
  if (progressed)
    run_later(*c.streams[0]);
  for (stream* s : c.streams) {
    flush(*s);
    if (c.dead)
      return;
  }
}

void engine::flush(stream& s) {
  if (s.write_blocked)
    return;
  const io result = s.flush();
  if (result == io::closed)
    fail(s, errc::peer_lost, "closed");
  else if (result == io::blocked)
    update_events(s);
}

/// Takes and writes one piece; false when the stream is blocked or has nothing to write.
bool engine::write_piece(stream& s) {
  if (s.write_blocked)
    return false;
  if (!s.has_piece) {
    if (!s.owner->out.next(s.index, s.writing))
      return false;
    s.has_piece = true;
    s.written = 0;
  }
  return finish_piece(s);
}

bool engine::finish_piece(stream& s) {
  const std::span<const std::byte> head = s.writing.head, body = s.writing.body;
  while (s.written < head.size() + body.size()) {
    const auto rest =
        s.written < head.size() ? head.subspan(s.written) : body.subspan(s.written - head.size());
    std::size_t n = 0;
    const io result = s.write(rest, n);
    if (result == io::closed) {
      fail(s, errc::peer_lost, "closed");
      return false;
    }
    if (result == io::blocked) {
      update_events(s);
      return false;
    }
    s.written += n;
  }
  s.has_piece = false;
  const outbox::piece done = std::exchange(s.writing, {});
  if (const request_id id = s.owner->out.written(done); id != 0)
    settle(id, {});
  return true;
}

void engine::update_events(stream& s) {
  if (s.dead || !s.fd)
    return;
  const bool in = !s.paused;
  const bool out = s.write_blocked || s.at == stream::phase::connecting;
  if (in == s.wants_in && out == s.wants_out)
    return;
  s.wants_in = in;
  s.wants_out = out;
  thread().rewatch(s.fd.get(), (in ? EPOLLIN : 0u) | (out ? EPOLLOUT : 0u));
}

} // namespace skippipe::transport::tls
