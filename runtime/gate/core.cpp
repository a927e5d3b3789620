#include "runtime/gate/core.hpp"

#include <sys/epoll.h>

#include <csignal>
#include <cstring>

namespace skippipe::runtime::gate {

namespace {

/// Not after this, and not before the other, when the thread is awake anyway.
constexpr auto housekeeping_at_most = std::chrono::seconds{3},
               housekeeping_at_least = std::chrono::seconds{2};
constexpr auto summary_every = std::chrono::seconds{60};

/// Chooses the protocol inside TLS; a peer that speaks none of ours is refused by OpenSSL.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* in, unsigned in_size, void*) {
  for (unsigned at = 0; at < in_size && at + 1 + in[at] <= in_size; at += 1 + in[at]) {
    const std::string_view name(reinterpret_cast<const char*>(in + at + 1), in[at]);
    if (name == control_protocol || name == probe_protocol) {
      *out = in + at + 1;
      *out_size = in[at];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

void adjust(SSL_CTX* context) {
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  // Control messages are small, and a stranger should cost little memory.
  SSL_CTX_set_read_ahead(context, 0);
  SSL_CTX_set_default_read_buffer_len(context, 0);
}

} // namespace

gate::core::core(gate_options options)
    : options_(std::move(options)), credentials_(adjust), refusals_(options_.log, summary_every),
      strangers_(options_.limits.strangers, options_.limits.strangers_per_source) {
  sockets_.listen = options_.listen;
  sockets_.port_range = options_.port_range;
  sockets_.dead_after = options_.limits.dead_after;
}

std::string gate::core::start() {
  std::string problem;
  if (!credentials_.load(options_.files, problem))
    return problem;
  if (!options_.listen.empty()) {
    transport::tls::socket_address bound;
    listener_ = transport::tls::open_listener(sockets_, bound);
    if (!listener_)
      return "cannot listen on " + options_.listen + ": " + std::strerror(errno);
    port_ = bound.port();
  }
  transport::progress_thread::hooks hooks;
  hooks.begin = [this] {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE); // OpenSSL writes to sockets that the peer may have closed
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    if (listener_)
      thread_.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { on_listener(); });
    housekeeping();
  };
  hooks.poll = [this] { return poll(); };
  if (const auto error = thread_.start(std::move(hooks)))
    return "cannot start the gate's thread: " + error.message();
  return {};
}

void gate::core::stop() {
  thread_.post([this] { shut_down(); });
  thread_.join();
}

void gate::core::shut_down() {
  stopped_ = true;
  while (!tunnels_.empty()) {
    tunnel& t = *tunnels_.begin()->second;
    t.problem = "this node stops";
    end(t);
  }
  unreceived_.clear();
  if (listener_) {
    thread_.unwatch(listener_.get());
    listener_ = {};
  }
  thread_.finish();
}

void gate::core::receive_with(std::function<bool(plain_connection)> receive) {
  thread_.post([this, receive = std::move(receive)]() mutable {
    if (stopped_)
      return;
    receive_ = std::move(receive);
    while (receive_ && !unreceived_.empty()) {
      auto connection = std::move(unreceived_.front());
      unreceived_.pop_front();
      receive_(std::move(connection)); // refused: its end closes, and so does the tunnel
    }
  });
}

void gate::core::dial(const std::string& host_port,
                      std::function<void(plain_connection, std::string)> done) {
  // Shared, so that it survives a `post` that is refused.
  const auto waiter =
      std::make_shared<std::function<void(plain_connection, std::string)>>(std::move(done));
  if (!thread_.post([this, host_port, waiter] { start_dialing(host_port, std::move(*waiter)); }))
    (*waiter)({}, "the gate is closed");
}

bool gate::core::poll() {
  if (clock::now() >= housekept_ + housekeeping_at_least)
    housekeeping();
  const auto ids = std::exchange(runnable_, {});
  for (const auto id : ids)
    if (const auto it = tunnels_.find(id); it != tunnels_.end())
      serve(*it->second);
  dead_.clear();
  return !ids.empty();
}

void gate::core::housekeeping() {
  thread_.cancel(housekeeping_timer_);
  housekept_ = clock::now();
  housekeeping_timer_ = thread_.at(housekept_ + housekeeping_at_most, [this] { housekeeping(); });
  refusals_.sum_up(housekept_);
  std::string problem;
  if (credentials_.refresh(problem))
    forget_revoked();
  if (!problem.empty() && options_.log)
    options_.log(problem + "; the files read before stay in use");
}

/// Begins with the first connection that somebody else has made; without any, nothing wakes this thread.
void gate::core::beat() {
  beats_ = false;
  for (const auto& [id, t] : tunnels_) {
    if (!t->accepted || !t->is_open_control())
      continue;
    reassure(*t);
    beats_ = true;
  }
  if (beats_)
    thread_.at(clock::now() + options_.limits.heartbeat, [this] { beat(); });
}

/// A node whose CAF takes nothing any more does not live, though this thread does: it says nothing.
void gate::core::reassure(tunnel& t) {
  if (t.caf_reads() || clock::now() - t.read_at < 2 * options_.limits.heartbeat)
    t.say_heartbeat();
  if (t.wire_ended)
    runnable_.insert(t.id);
  watch_ends(t);
}

/// The peer lives: it has so long to say the next word, and may ask as much of us.
void gate::core::hear(tunnel& t) {
  counts_.heartbeats += std::exchange(t.heartbeats, 0);
  if (!std::exchange(t.is_heard, false) || options_.limits.heartbeat.count() == 0
      || !t.is_open_control())
    return;
  const auto now = clock::now();
  t.heard_at = now;
  t.suspected = false;
  await(t, options_.limits.silence);
  if (!t.accepted && now - t.spoke_at >= options_.limits.heartbeat / 2)
    reassure(t);
}

void gate::core::await(tunnel& t, std::chrono::milliseconds patience) {
  thread_.cancel(t.timer);
  t.due = clock::now() + patience;
  t.timer = thread_.at(t.due, [this, &t] { suspect(t); });
}

/// Silent for too long. But it may have been this thread, or the whole machine, that stood still: then its words
/// wait to be read, or it has had no time to say any. So it has one more heartbeat's time, and again
/// where this thread comes late.
void gate::core::suspect(tunnel& t) {
  t.pump();
  const auto beat = options_.limits.heartbeat;
  if (!t.is_heard && (!t.suspected || clock::now() > t.due + beat / 2)) {
    t.suspected = true;
    reassure(t);
    await(t, beat * 5 / 4);
  } else if (!t.is_heard) {
    const auto silent =
        std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - t.heard_at);
    t.problem = "silent for " + std::to_string(silent.count()) + " ms";
  }
  serve(t);
}

void gate::core::forget_revoked() {
  std::vector<tunnel*> revoked;
  for (const auto& [id, t] : tunnels_)
    if (t->ssl && credentials_.revoked(t->ssl.get()))
      revoked.push_back(t.get());
  for (tunnel* t : revoked) {
    if (options_.log)
      options_.log("dropped '" + t->name + "' at " + t->remote + ": its certificate was revoked");
    t->problem = "its certificate was revoked";
    end(*t);
  }
}

gate::gate(gate_options options) : core_(std::make_unique<core>(std::move(options))) {}
gate::~gate() { stop(); }
std::string gate::start() { return core_->start(); }
void gate::stop() { core_->stop(); }
void gate::receive_with(std::function<bool(plain_connection)> receive) {
  core_->receive_with(std::move(receive));
}
void gate::dial(const std::string& host_port,
                std::function<void(plain_connection, std::string)> done) {
  core_->dial(host_port, std::move(done));
}
std::uint16_t gate::port() const { return core_->port(); }
const gate_counts& gate::counts() const { return core_->counts(); }

} // namespace skippipe::runtime::gate
