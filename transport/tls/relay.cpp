#include "transport/tls/relay.hpp"

#include "transport/tls/control_line.hpp"
#include "transport/tls/credentials.hpp"
#include "transport/tls/passage.hpp"

#include <sys/epoll.h>
#include <sys/random.h>

#include <cerrno>
#include <csignal>
#include <map>
#include <set>

namespace skippipe::transport::tls {
namespace {

constexpr std::byte handshake_record{22};
/// Joined pairs of sockets, and tickets waiting for their sockets.
constexpr std::size_t most_passages = 2048, most_tickets = 2048;

relay_ticket new_ticket() {
  relay_ticket t;
  while (::getrandom(&t, sizeof t, 0) != sizeof t || t == relay_ticket{}) {
  }
  return t;
}

class relay final : public tls_relay {
public:
  explicit relay(tls_options options) : options_(std::move(options)) {}
  ~relay() override { close(); }

  std::error_code listen() override;
  std::string address() const override { return address_; }
  void close() override;

private:
  /// A connection before it is known what it is for, or a node's line.
  struct guest {
    std::uint64_t id = 0;
    unique_fd fd; ///< Until the first bytes tell.
    std::string from;
    std::vector<std::byte> claim;
    std::unique_ptr<control_line> line;
    progress_thread::timer_id timer;
    bool asked = false;                   ///< Has said what it wants.
    std::optional<peer_id> enlisted{};    ///< Reached as this node.
    std::optional<relay_message> waits{}; ///< For a node that is not there yet.
  };
  /// Two connections that are to be joined.
  struct meeting {
    unique_fd first; ///< The one that is here.
    relay_ticket tickets[2];
    progress_thread::timer_id timer;
  };

  void on_listener();
  void on_guest(std::uint64_t id);
  bool identify(guest& g);
  bool serve(guest& g);
  bool obey(guest& g, const relay_message& m);
  bool match(guest& g, const relay_message& want);
  void take(guest& g);
  void join(unique_fd a, unique_fd b);
  void advance(std::uint64_t passage);
  void drop(std::uint64_t id, std::string_view why);
  void watch_credentials();

  const tls_options options_;
  credentials credentials_;
  std::string address_;
  unique_fd listener_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, guest> guests_;
  std::set<std::uint64_t> strangers_; ///< Guests that have not asked for anything; oldest first.
  std::map<peer_id, std::uint64_t> nodes_;
  std::map<relay_ticket, std::shared_ptr<meeting>> tickets_;
  std::map<std::uint64_t, passage> passages_;
  std::set<std::uint64_t> busy_; ///< Passages that epoll will not tell of.
  std::mutex joining_;
  progress_thread thread_;
};

std::error_code relay::listen() {
  std::string problem;
  socket_address bound;
  if (!credentials_.load({options_.ca, options_.certificate, options_.key, options_.revoked},
                         problem)
      || !(listener_ = open_listener(options_, bound))) {
    if (options_.log)
      options_.log(problem.empty() ? "cannot listen on " + options_.listen : problem);
    return errc::setup_failed;
  }
  address_ = options_.advertise.empty() ? bound.text() : options_.advertise;
  progress_thread::hooks hooks;
  hooks.begin = [this] {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE); // sockets that a node may have closed
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    thread_.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { on_listener(); });
    watch_credentials();
  };
  hooks.poll = [this] {
    const auto now = std::exchange(busy_, {});
    for (const std::uint64_t id : now)
      advance(id);
    return !now.empty();
  };
  return thread_.start(std::move(hooks));
}

void relay::close() {
  thread_.post([this] { thread_.finish(); });
  const std::lock_guard guard(joining_);
  thread_.join();
  guests_.clear();
  tickets_.clear();
  passages_.clear();
  listener_ = unique_fd{};
}

void relay::watch_credentials() {
  thread_.at(progress_thread::clock::now() + credentials_refresh, [this] { watch_credentials(); });
  std::string problem;
  const bool changed = credentials_.refresh(problem);
  if (!problem.empty() && options_.log)
    options_.log(problem);
  if (!changed)
    return;
  // What is joined ends at the other node, which looks at its list too.
  std::vector<std::uint64_t> revoked;
  for (const auto& [id, g] : guests_)
    if (g.line && g.line->ssl() != nullptr && credentials_.revoked(g.line->ssl()))
      revoked.push_back(id);
  for (const auto id : revoked)
    drop(id, "its certificate was revoked");
}

void relay::on_listener() {
  for (int i = 0; i < 16; ++i) {
    socket_address from;
    from.size = sizeof from.storage;
    unique_fd fd(::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&from.storage), &from.size,
                           SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        // The listener would stay readable and keep this thread busy.
        thread_.rewatch(listener_.get(), 0);
        thread_.at(progress_thread::clock::now() + std::chrono::milliseconds(200),
                   [this] { thread_.rewatch(listener_.get(), EPOLLIN); });
      }
      return;
    }
    if (strangers_.size() >= options_.max_half_open)
      drop(*strangers_.begin(), "too many half-open connections");
    tune(options_, fd.get());
    guest& g = guests_[++last_id_];
    g.id = last_id_;
    g.from = from.text();
    g.fd = std::move(fd);
    strangers_.insert(g.id);
    g.timer = thread_.at(progress_thread::clock::now() + options_.handshake_timeout,
                         [this, id = g.id] { drop(id, "said nothing in time"); });
    thread_.watch(g.fd.get(), EPOLLIN, [this, id = g.id](std::uint32_t) { on_guest(id); });
  }
}

void relay::on_guest(std::uint64_t id) {
  guest& g = guests_.at(id);
  const bool stays = g.line != nullptr ? serve(g) : identify(g);
  if (!stays && guests_.count(id) > 0)
    drop(id, "not understood");
}

/// The first byte tells TLS from a ticket. False to end the connection.
bool relay::identify(guest& g) {
  std::byte part[relay_message_size];
  if (g.claim.empty()) {
    const ssize_t n = ::recv(g.fd.get(), part, 1, MSG_PEEK);
    if (n <= 0)
      return n < 0 && errno == EAGAIN;
    if (part[0] == handshake_record) {
      g.line = std::make_unique<control_line>(std::move(g.fd), true);
      return serve(g);
    }
  }
  const ssize_t n = ::recv(g.fd.get(), part, relay_message_size - g.claim.size(), 0);
  if (n <= 0)
    return n < 0 && errno == EAGAIN;
  g.claim.insert(g.claim.end(), part, part + n);
  if (g.claim.size() == relay_message_size)
    take(g);
  return true;
}

/// A connection shows its ticket: it waits for the other one, or both are joined.
void relay::take(guest& g) {
  const auto m = decode_relay_message(g.claim);
  const auto known = m && m->verb == relay_verb::claim ? tickets_.find(m->ticket) : tickets_.end();
  if (known == tickets_.end())
    return drop(g.id, "no such ticket");
  const auto meet = known->second;
  tickets_.erase(known);
  thread_.unwatch(g.fd.get());
  thread_.cancel(g.timer);
  strangers_.erase(g.id);
  unique_fd fd = std::move(g.fd);
  guests_.erase(g.id);
  if (!meet->first) {
    meet->first = std::move(fd);
    return;
  }
  thread_.cancel(meet->timer);
  join(std::move(meet->first), std::move(fd));
}

void relay::join(unique_fd a, unique_fd b) {
  if (passages_.size() >= most_passages)
    return;
  const std::uint64_t id = ++last_id_;
  const passage& way = passages_.try_emplace(id, std::move(a), std::move(b)).first->second;
  for (const int fd : {way.first(), way.second()})
    thread_.watch(fd, EPOLLIN | EPOLLOUT | EPOLLET, [this, id](std::uint32_t) { advance(id); });
  busy_.insert(id);
}

void relay::advance(std::uint64_t id) {
  const auto it = passages_.find(id);
  if (it == passages_.end())
    return;
  const passage::state state = it->second.advance();
  if (state == passage::state::busy)
    busy_.insert(id);
  if (state != passage::state::over)
    return;
  thread_.unwatch(it->second.first());
  thread_.unwatch(it->second.second());
  passages_.erase(it);
}

bool relay::serve(guest& g) {
  const std::uint64_t id = g.id;
  std::vector<relay_message> heard;
  std::string problem;
  const bool stands = g.line->advance(credentials_.context(), heard, problem);
  for (const relay_message& m : heard)
    if (!obey(g, m))
      return false;
  if (!stands) {
    drop(id, problem);
    return true;
  }
  thread_.rewatch(g.line->fd(), EPOLLIN | (g.line->wants_out() ? EPOLLOUT : 0u));
  return true;
}

bool relay::obey(guest& g, const relay_message& m) {
  if (std::exchange(g.asked, true))
    return false; // a line is for one thing
  if (m.verb == relay_verb::want) {
    if (!match(g, m))
      g.waits = m; // it may come back within the time that a line has
    return true;
  }
  if (m.verb != relay_verb::enlist || (options_.allow && !options_.allow(m.node, g.line->name())))
    return false;
  thread_.cancel(g.timer);
  strangers_.erase(g.id);
  if (const auto earlier = nodes_.find(m.node); earlier != nodes_.end())
    drop(std::exchange(earlier->second, g.id), "the node has a newer line");
  nodes_[m.node] = g.id;
  g.enlisted = m.node;
  g.line->send(m);
  for (auto& [id, other] : guests_)
    if (other.waits && other.waits->node == m.node && match(other, *other.waits))
      other.waits.reset();
  return true;
}

/// Gives tickets to both sides; false when the other one is not there.
bool relay::match(guest& g, const relay_message& want) {
  const auto node = nodes_.find(want.node);
  if (node == nodes_.end() || tickets_.size() + 2u * want.count > most_tickets)
    return false;
  guest& there = guests_.at(node->second);
  for (unsigned i = 0; i < want.count; ++i) {
    const auto meet = std::make_shared<meeting>();
    guest* const sides[] = {&g, &there};
    for (int side = 0; side < 2; ++side) {
      meet->tickets[side] = new_ticket();
      tickets_[meet->tickets[side]] = meet;
      sides[side]->line->send({relay_verb::offer, 0, want.node, meet->tickets[side]});
    }
    meet->timer = thread_.at(progress_thread::clock::now() + options_.handshake_timeout,
                             [this, a = meet->tickets[0], b = meet->tickets[1]] {
                               tickets_.erase(a);
                               tickets_.erase(b);
                             });
  }
  for (guest* side : {&g, &there}) // writable now: the line goes on from there
    thread_.rewatch(side->line->fd(), EPOLLIN | EPOLLOUT);
  return true;
}

void relay::drop(std::uint64_t id, std::string_view why) {
  const auto it = guests_.find(id);
  if (it == guests_.end())
    return;
  guest& g = it->second;
  thread_.cancel(g.timer);
  strangers_.erase(id);
  thread_.unwatch(g.line != nullptr ? g.line->fd() : g.fd.get());
  if (g.enlisted)
    if (const auto node = nodes_.find(*g.enlisted); node != nodes_.end() && node->second == id)
      nodes_.erase(node);
  if (options_.log && !g.asked)
    options_.log("refused " + g.from + ": " + std::string(why));
  guests_.erase(it);
}

} // namespace
} // namespace skippipe::transport::tls

namespace skippipe::transport {

std::unique_ptr<tls_relay> make_tls_relay(tls_options options) {
  return std::make_unique<tls::relay>(std::move(options));
}

} // namespace skippipe::transport
