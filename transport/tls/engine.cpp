#include "transport/tls/engine.hpp"

#include "transport/placement.hpp"

#include <sys/epoll.h>
#include <sys/random.h>

#include <csignal>
#include <cstring>

namespace skippipe::transport::tls {
namespace {

address to_bytes(const std::string& text) {
  address bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

std::uint64_t random_key() {
  std::uint64_t key = 0;
  while (::getrandom(&key, sizeof key, 0) != sizeof key) {
  }
  return key;
}

} // namespace

buffer channel::place(std::span<const std::byte> header, std::size_t size) {
  return owner.owner() != nullptr ? ask_place(*owner.owner(), peer, header, size) : buffer{};
}

void channel::deliver(std::span<const std::byte> header, buffer payload) {
  if (owner.owner() != nullptr)
    owner.owner()->on_message(peer, header, std::move(payload));
}

void channel::refuse(std::uint64_t sequence) {
  out.refuse(sequence);
  owner.run_later(*streams[0]);
}

void channel::refused(std::uint64_t sequence) {
  if (const request_id id = out.refused(sequence); id != 0)
    owner.settle(id, errc::refused);
  for (stream* s : streams)
    owner.run_later(*s);
}

channel* engine::remote::choose_sender() {
  channel* candidate = dialed != nullptr ? dialed.get() : accepted.get();
  if (sender == nullptr && candidate != nullptr && candidate->established())
    sender = candidate;
  return sender;
}

engine::engine(tls_options options)
    : threaded_endpoint(options.bounds), options_(std::move(options)) {}

engine::~engine() { close(); }

std::error_code engine::listen(handler& h) {
  std::string problem;
  const bool usable = credentials_.load(
      {options_.ca, options_.certificate, options_.key, options_.revoked}, problem);
  if (!usable || options_.streams == 0 || options_.streams > max_streams) {
    if (options_.log)
      options_.log(problem);
    return errc::setup_failed;
  }
  if (!options_.listen.empty()) {
    socket_address bound;
    listener_ = open_listener(options_, bound);
    if (!listener_)
      return errc::setup_failed;
    address_ = to_bytes(options_.advertise.empty() ? bound.text() : options_.advertise);
  } else if (!options_.relay.empty()) {
    const auto relay = parse_address(options_.relay);
    if (!relay)
      return errc::setup_failed;
    address_ = to_bytes(relay_address{*relay, options_.self}.text());
  }
  progress_thread::hooks hooks;
  hooks.begin = [this] {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE); // OpenSSL writes to sockets that the peer may have closed
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    if (listener_)
      thread().watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { on_listener(); });
    watch_credentials();
    if (!listener_ && !options_.relay.empty())
      enlist();
  };
  hooks.poll = [this] { return poll(); };
  return start(h, std::move(hooks));
}

void engine::watch_credentials() {
  thread().at(progress_thread::clock::now() + credentials_refresh, [this] { watch_credentials(); });
  std::string problem;
  const bool changed = credentials_.refresh(problem);
  if (!problem.empty() && options_.log)
    options_.log(problem);
  if (!changed)
    return;
  std::vector<std::uint64_t> ended;
  for (const auto& [id, s] : streams_)
    if (s->ssl && !s->dead && credentials_.revoked(s->ssl.get()))
      ended.push_back(id);
  for (const std::uint64_t id : ended) // one may end others
    if (const auto it = streams_.find(id); it != streams_.end())
      fail(*it->second, errc::not_authenticated, "its certificate was revoked");
}

bool engine::poll() {
  const auto ids = std::exchange(runnable_, {});
  for (const std::uint64_t id : ids)
    if (const auto it = streams_.find(id); it != streams_.end() && !it->second->dead)
      serve(*it->second);
  dead_streams_.clear();
  dead_channels_.clear();
  dead_links_.clear();
  return !ids.empty();
}

void engine::do_connect(peer_id peer, const address& where, completion done) {
  remote& r = peers_[peer];
  if (r.dialed != nullptr)
    return done(errc::already_connected);
  if (where.empty() && r.choose_sender() != nullptr)
    return done({}); // it has dialed in
  const std::string_view text(reinterpret_cast<const char*>(where.data()), where.size());
  const auto to = parse_address(text);
  const auto through = parse_relay_address(text);
  if (!to && (!through || through->node != peer)) {
    if (r.accepted == nullptr)
      peers_.erase(peer);
    return done(errc::bad_address);
  }
  r.connected = std::move(done);
  r.dialed = std::make_unique<channel>(*this, peer, random_key(), true, options_.streams, bounds());
  channel& c = *r.dialed;
  if (through)
    return connect_through(c, *through);
  for (unsigned i = 0; i < options_.streams && !c.dead; ++i)
    dial(c, i, *to, {});
}

void engine::dial(channel& c, unsigned index, const socket_address& to,
                  std::vector<std::byte> preamble) {
  stream& s = add_stream(open_connection(options_, to), to.text(), false, std::move(preamble));
  s.owner = &c;
  s.index = index;
  s.hello = {static_cast<std::uint16_t>(index), static_cast<std::uint16_t>(c.streams.size()),
             options_.self, c.peer, c.key};
  c.streams[index] = &s;
  if (!s.fd)
    fail(s, errc::unreachable, "cannot connect");
}

void engine::do_disconnect(peer_id peer) {
  if (peers_.count(peer) == 0)
    return;
  if (const completion connecting = forget(peer))
    connecting(errc::canceled);
}

void engine::do_send(outgoing message) {
  const auto it = peers_.find(message.to);
  if (it == peers_.end())
    return settle(message.id, errc::unknown_peer);
  channel* c = it->second.choose_sender();
  if (c == nullptr && it->second.dialed == nullptr)
    return settle(message.id, errc::unknown_peer);
  if (c == nullptr) {
    it->second.early.push_back(std::move(message));
    return;
  }
  c->out.push(std::move(message));
  pump(*c);
}

void engine::do_abandon(request_id id, peer_id to) {
  const auto it = peers_.find(to);
  if (it == peers_.end())
    return;
  std::erase_if(it->second.early, [id](const outgoing& m) { return m.id == id; });
  if (channel* c = it->second.sender) {
    c->out.abandon(id);
    pump(*c);
  }
}

/// All streams of a channel have exchanged greetings.
void engine::established(channel& c) {
  remote& r = peers_[c.peer];
  r.known = true;
  for (stream* s : c.streams)
    run_later(*s); // frames may wait inside OpenSSL, where epoll does not see them
  if (!c.dialed)
    return;
  if (channel* out = r.choose_sender())
    for (outgoing& m : std::exchange(r.early, {}))
      out->out.push(std::move(m));
  if (const completion done = std::exchange(r.connected, {}))
    done({});
}

void engine::discard(stream& s) {
  if (std::exchange(s.dead, true))
    return;
  thread().cancel(s.timer);
  half_open_.erase(s.id);
  runnable_.erase(s.id);
  if (s.fd) {
    thread().unwatch(s.fd.get());
    if (s.ssl && s.at == stream::phase::open)
      SSL_shutdown(s.ssl.get()); // tells the peer; nobody waits for its answer
    s.fd = unique_fd{};
  }
  const auto it = streams_.find(s.id);
  dead_streams_.push_back(std::move(it->second));
  streams_.erase(it);
  run_later(*dead_streams_.back()); // so that the next round clears them
}

void engine::discard(std::unique_ptr<channel> c) {
  if (c == nullptr)
    return;
  c->dead = true;
  if (c->link != nullptr)
    c->link->stop();
  for (stream* s : c->streams)
    if (s != nullptr)
      discard(*s);
  dead_channels_.push_back(std::move(c));
}

/// Closes everything of a peer and returns who waits for its connection.
completion engine::forget(peer_id peer) {
  const auto it = peers_.find(peer);
  remote r = std::move(it->second);
  peers_.erase(it);
  discard(std::move(r.dialed));
  discard(std::move(r.accepted));
  return std::move(r.connected);
}

void engine::drop_peer(peer_id peer, std::error_code reason) {
  const auto it = peers_.find(peer);
  if (it == peers_.end())
    return;
  const bool known = it->second.known;
  const completion connecting = forget(peer);
  if (connecting)
    connecting(reason);
  if (known)
    lose(peer, reason);
  else
    settle_peer(peer, reason);
}

void engine::do_shutdown() {
  home_.reset();
  while (!peers_.empty())
    if (const completion connecting = forget(peers_.begin()->first))
      connecting(errc::closed);
  while (!streams_.empty())
    discard(*streams_.begin()->second);
  if (listener_) {
    thread().unwatch(listener_.get());
    listener_ = unique_fd{};
  }
  thread().finish();
}

} // namespace skippipe::transport::tls

namespace skippipe::transport {

std::unique_ptr<endpoint> make_tls_endpoint(tls_options options) {
  return std::make_unique<tls::engine>(std::move(options));
}

} // namespace skippipe::transport
