#include "transport/tls/engine.hpp"

#include <sys/epoll.h>

#include <cerrno>

namespace skippipe::transport::tls {

void engine::on_listener() {
  for (int i = 0; i < 16; ++i) {
    socket_address from;
    from.size = sizeof from.storage;
    unique_fd fd(::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&from.storage), &from.size,
                           SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      accept_one(std::move(fd), from.text(), {});
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      // The listener would stay readable and keep this thread busy.
      thread().rewatch(listener_.get(), 0);
      thread().at(progress_thread::clock::now() + std::chrono::milliseconds(200), [this] {
        if (listener_)
          thread().rewatch(listener_.get(), EPOLLIN);
      });
    }
    return;
  }
}

void engine::accept_one(unique_fd fd, std::string from, std::vector<std::byte> preamble) {
  if (half_open_.size() >= options_.max_half_open) {
    // Good peers need milliseconds: the oldest is the least likely to be one.
    fail(*streams_.at(*half_open_.begin()), errc::timed_out, "too many half-open connections");
  }
  stream& s = add_stream(std::move(fd), std::move(from), true, std::move(preamble));
  half_open_.insert(s.id);
  if (s.fd)
    advance(s);
  else
    fail(s, errc::unreachable, "cannot connect");
}

stream& engine::add_stream(unique_fd fd, std::string remote_text, bool accepted,
                           std::vector<std::byte> preamble) {
  const std::uint64_t id = ++last_stream_;
  stream& s = *streams_.emplace(id, std::make_unique<stream>()).first->second;
  s.id = id;
  s.fd = std::move(fd);
  s.accepted = accepted;
  s.remote = std::move(remote_text);
  s.preamble = std::move(preamble);
  s.timer = thread().at(progress_thread::clock::now() + options_.handshake_timeout,
                        [this, &s] { fail(s, errc::timed_out, "handshake took too long"); });
  if (s.fd) {
    s.wants_out = !accepted || !s.preamble.empty(); // the end of connect
    thread().watch(s.fd.get(), EPOLLIN | (s.wants_out ? static_cast<unsigned>(EPOLLOUT) : 0u),
                   [this, id](std::uint32_t events) { on_event(id, events); });
  }
  return s;
}

void engine::on_event(std::uint64_t id, std::uint32_t events) {
  const auto it = streams_.find(id);
  if (it == streams_.end())
    return;
  stream& s = *it->second;
  if ((events & ~static_cast<unsigned>(EPOLLIN)) != 0)
    s.write_blocked = false;
  if (s.paused && (events & (EPOLLHUP | EPOLLERR)) != 0)
    return fail(s, errc::peer_lost, "closed"); // epoll would not stop telling
  if (s.at == stream::phase::open)
    serve(s);
  else
    advance(s);
}

void engine::advance(stream& s) {
  if (s.at == stream::phase::connecting && !advance_tcp(s))
    return;
  if (s.at == stream::phase::handshaking && !advance_tls(s))
    return;
  if (s.at == stream::phase::greeting)
    advance_greeting(s);
}

bool engine::advance_tcp(stream& s) {
  const connecting state = connected(s.fd.get());
  if (state == connecting::pending)
    return false;
  // A few bytes into a fresh socket: they fit.
  const auto& first = s.preamble;
  if (state == connecting::failed
      || (!first.empty()
          && ::send(s.fd.get(), first.data(), first.size(), MSG_NOSIGNAL)
                 != static_cast<ssize_t>(first.size()))) {
    fail(s, errc::unreachable, "cannot connect");
    return false;
  }
  tune(options_, s.fd.get());
  if (!s.begin_tls(credentials_.context())) {
    fail(s, errc::setup_failed, "no memory");
    return false;
  }
  s.at = stream::phase::handshaking;
  return true;
}

bool engine::advance_tls(stream& s) {
  const io result = s.handshake();
  if (result == io::closed) {
    fail(s, errc::not_authenticated, "TLS handshake failed: " + ssl_problem());
    return false;
  }
  if (result == io::blocked) {
    update_events(s);
    return false;
  }
  s.name = peer_name(s.ssl.get());
  if (!s.accepted && options_.allow && !options_.allow(s.hello.to, s.name)) {
    fail(s, errc::not_authenticated, "the certificate of '" + s.name + "' is another node's");
    return false;
  }
  s.at = stream::phase::greeting;
  return true;
}

/// The dialer greets first; the acceptor answers when all streams of the channel are there.
void engine::advance_greeting(stream& s) {
  if (!s.accepted && !greet(s))
    return;
  while (s.greeting_in.size() < greeting_size) {
    std::byte part[greeting_size];
    std::size_t n = 0;
    const io result = s.read({part, greeting_size - s.greeting_in.size()}, n);
    if (result == io::closed)
      return fail(s, errc::not_authenticated, "closed before it greeted: " + ssl_problem());
    if (result == io::blocked)
      return update_events(s);
    s.greeting_in.insert(s.greeting_in.end(), part, part + n);
    if (s.greeting_in.size() < greeting_size)
      continue;
    const auto g = decode_greeting(s.greeting_in);
    if (!g)
      return fail(s, errc::malformed, "malformed greeting");
    return on_greeting(s, *g);
  }
  if (s.accepted && s.owner != nullptr && s.owner->complete() && greet(s))
    opened(s);
}

/// Sends our greeting; true when it is out.
bool engine::greet(stream& s) {
  const auto bytes = encode(s.hello);
  while (s.greeting_sent < bytes.size()) {
    std::size_t n = 0;
    const io result = s.write(std::span(bytes).subspan(s.greeting_sent), n);
    if (result == io::closed) {
      fail(s, errc::not_authenticated, "closed before the greeting");
      return false;
    }
    if (result == io::blocked) {
      update_events(s);
      return false;
    }
    s.greeting_sent += n;
  }
  const io result = s.flush();
  if (result == io::closed)
    fail(s, errc::not_authenticated, "closed before the greeting");
  else if (result == io::blocked)
    update_events(s);
  return result == io::done;
}

void engine::on_greeting(stream& s, const greeting& g) {
  if (credentials_.revoked(s.ssl.get())) // since its handshake began
    return fail(s, errc::not_authenticated, "its certificate was revoked");
  if (s.accepted)
    return join_channel(s, g);
  const greeting& mine = s.hello;
  if (g.stream != mine.stream || g.streams != mine.streams || g.from != mine.to || g.to != mine.from
      || g.channel != mine.channel)
    return fail(s, errc::malformed, "its greeting is not the answer to ours");
  opened(s);
}

void engine::join_channel(stream& s, const greeting& g) {
  if (g.to != options_.self || g.from == options_.self)
    return fail(s, errc::unknown_peer, "it looks for another node");
  if (options_.allow && !options_.allow(g.from, s.name))
    return fail(s, errc::not_authenticated, "'" + s.name + "' may not be that node");
  const auto known = peers_.find(g.from);
  if (known != peers_.end() && known->second.accepted != nullptr
      && known->second.accepted->key != g.channel)
    drop_peer(g.from, errc::peer_lost); // a newer connection of a peer ends its older one
  remote& r = peers_[g.from];
  if (r.accepted == nullptr)
    r.accepted = std::make_unique<channel>(*this, g.from, g.channel, false, g.streams, bounds());
  channel& c = *r.accepted;
  if (c.streams.size() != g.streams || c.streams[g.stream] != nullptr)
    return fail(s, errc::malformed, "its streams do not fit together");
  c.streams[g.stream] = &s;
  s.owner = &c;
  s.index = g.stream;
  s.hello = {g.stream, g.streams, options_.self, g.from, g.channel};
  if (!c.complete())
    return update_events(s);
  for (stream* other : c.streams)
    if (!c.dead && greet(*other))
      opened(*other);
}

void engine::opened(stream& s) {
  s.at = stream::phase::open;
  open_wide(options_, s.fd.get());
  thread().cancel(s.timer);
  half_open_.erase(s.id);
  channel& c = *s.owner;
  ++c.open;
  s.paused = true; // until all streams are open
  update_events(s);
  if (c.established())
    established(c);
}

/// Ends a stream, and with it all that depends on it.
void engine::fail(stream& s, std::error_code code, std::string_view why) {
  if (s.dead)
    return;
  if (s.at != stream::phase::open)
    report(s, why);
  channel* c = s.owner;
  if (c == nullptr)
    return discard(s);
  const peer_id peer = c->peer;
  if (c->dialed || c->established())
    return drop_peer(peer, code);
  remote& r = peers_.at(peer); // our own connection to it, if any, stands
  discard(std::exchange(r.accepted, nullptr));
  if (r.dialed == nullptr)
    peers_.erase(peer);
}

void engine::report(const stream& s, std::string_view why) {
  if (!options_.log)
    return;
  options_.log((s.accepted ? "refused " : "connection failed to ") + s.remote + ": "
               + std::string(why));
}

} // namespace skippipe::transport::tls
