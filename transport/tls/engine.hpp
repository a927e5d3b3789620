// The tls backend. engine.cpp: peers and channels; handshake.cpp: from a socket to an open stream;
// relayed.cpp: sockets by way of a relay; traffic.cpp: moving bytes.
#pragma once

#include "transport/tls/credentials.hpp"
#include "transport/tls/inbox.hpp"
#include "transport/tls/relay_link.hpp"
#include "transport/tls/sockets.hpp"
#include "transport/tls/stream.hpp"

#include <algorithm>
#include <set>

namespace skippipe::transport::tls {

class engine;

/// The streams that one `connect` made, on either side of it.
struct channel final : inbox_sink {
  channel(engine& e, peer_id p, std::uint64_t k, bool d, unsigned n, const limits& bounds)
      : owner(e), peer(p), key(k), dialed(d), streams(n), in(bounds, n, *this), out(n) {}

  buffer place(std::span<const std::byte> header, std::size_t size) override;
  void deliver(std::span<const std::byte> header, buffer payload) override;
  void refuse(std::uint64_t sequence) override;
  void refused(std::uint64_t sequence) override;

  engine& owner;
  const peer_id peer;
  const std::uint64_t key;
  const bool dialed;
  bool dead = false;
  std::vector<stream*> streams; ///< Null until accepted.
  unsigned open = 0;            ///< Streams that have exchanged greetings.
  bool complete() const { return std::ranges::count(streams, nullptr) == 0; }
  bool established() const { return open == streams.size(); }
  inbox in;
  outbox out;
  std::unique_ptr<relay_link> link; ///< While it asks a relay for its connections.
};

class engine final : public threaded_endpoint {
public:
  explicit engine(tls_options options);
  ~engine() override;

  std::error_code listen(handler& h) override;
  address local_address() const override { return address_; }

private:
  friend struct channel;
  struct remote {
    std::unique_ptr<channel> dialed, accepted;
    completion connected;
    std::vector<outgoing> early; ///< Sent before the connection stood.
    bool known = false;          ///< The handler was given or may be given messages of it.
    channel* sender = nullptr;   ///< Carries what we send; never changes, for the sake of order.
    channel* choose_sender();
  };

  void do_connect(peer_id peer, const address& where, completion done) override;
  void do_disconnect(peer_id peer) override;
  void do_send(outgoing message) override;
  void do_abandon(request_id id, peer_id to) override;
  void do_shutdown() override;

  // engine.cpp
  void dial(channel& c, unsigned index, const socket_address& to, std::vector<std::byte> preamble);
  void watch_credentials();
  bool poll();
  void drop_peer(peer_id peer, std::error_code reason);
  completion forget(peer_id peer);
  void discard(std::unique_ptr<channel> c);
  void discard(stream& s);
  void established(channel& c);

  // handshake.cpp
  void on_listener();
  void accept_one(unique_fd fd, std::string from, std::vector<std::byte> preamble);
  stream& add_stream(unique_fd fd, std::string remote_text, bool accepted,
                     std::vector<std::byte> preamble);
  void on_event(std::uint64_t id, std::uint32_t events);
  void advance(stream& s);
  bool advance_tcp(stream& s);
  bool advance_tls(stream& s);
  void advance_greeting(stream& s);
  bool greet(stream& s);
  void on_greeting(stream& s, const greeting& g);
  void join_channel(stream& s, const greeting& g);
  void opened(stream& s);
  void fail(stream& s, std::error_code code, std::string_view why);
  void report(const stream& s, std::string_view why);

  // relayed.cpp
  void enlist();
  void connect_through(channel& c, const relay_address& where);

  // traffic.cpp
  void serve(stream& s);
  void receive(stream& s);
  void pump(channel& c);
  bool write_piece(stream& s);
  bool finish_piece(stream& s);
  void flush(stream& s);
  void update_events(stream& s);
  void run_later(stream& s) { runnable_.insert(s.id); }

  const tls_options options_;
  credentials credentials_;
  unique_fd listener_;
  bool listening_paused_ = false;
  address address_;
  std::unique_ptr<relay_link> home_; ///< The relay that this node is reached through.
  std::vector<std::unique_ptr<relay_link>> dead_links_;
  std::map<peer_id, remote> peers_;
  std::map<std::uint64_t, std::unique_ptr<stream>> streams_;
  std::set<std::uint64_t>
      half_open_; ///< Accepted, not part of an established channel; oldest first.
  std::set<std::uint64_t> runnable_; ///< Streams with work that epoll does not know of.
  std::uint64_t last_stream_ = 0;
  std::vector<std::unique_ptr<stream>> dead_streams_; ///< Until nothing on the stack uses them.
  std::vector<std::unique_ptr<channel>> dead_channels_;
};

} // namespace skippipe::transport::tls
