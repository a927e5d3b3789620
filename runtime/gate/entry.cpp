#include "runtime/gate/core.hpp"
#include "runtime/gate/unreachable.hpp"

#include <openssl/err.h>

#include <netinet/in.h>
#include <sys/epoll.h>

#include <cerrno>
#include <cstring>

namespace skippipe::runtime::gate {

namespace {

using transport::unique_fd;
using transport::tls::socket_address;

/// An address, or the /64 that a single IPv6 host can take addresses from at will.
std::string source_of(const socket_address& from) {
  if (from.storage.ss_family != AF_INET6)
    return from.text().substr(0, from.text().rfind(':'));
  socket_address net = from;
  auto& v6 = reinterpret_cast<sockaddr_in6&>(net.storage);
  if (!IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
    std::memset(v6.sin6_addr.s6_addr + 8, 0, 8);
  const auto text = net.text();
  return text.substr(0, text.rfind(':'));
}

/// Length and name, as ALPN wants it.
std::string wire_form(std::string_view protocol) {
  return static_cast<char>(protocol.size()) + std::string(protocol);
}

/// What a failed handshake tells the operator.
std::string handshake_problem(const SSL* ssl) {
  const long verdict = SSL_get_verify_result(ssl);
  if (verdict != X509_V_OK) {
    transport::tls::ssl_problem();
    return std::string("its certificate was not accepted: ")
           + X509_verify_cert_error_string(verdict);
  }
  const unsigned long code = ERR_peek_error();
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  std::string text = reason != nullptr ? reason : "the connection ended";
  transport::tls::ssl_problem(); // empties the queue
  return "TLS handshake failed: " + text;
}

} // namespace

void gate::core::on_listener() {
  for (int i = 0; i < 64; ++i) {
    socket_address from;
    from.size = sizeof from.storage;
    unique_fd fd(::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&from.storage), &from.size,
                           SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      enter(std::move(fd), from);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      // The listener would stay readable and keep this thread busy.
      refusals_.refuse("connections", "no file descriptors or memory are left", clock::now());
      thread_.rewatch(listener_.get(), 0);
      thread_.at(clock::now() + std::chrono::milliseconds(200), [this] {
        if (listener_)
          thread_.rewatch(listener_.get(), EPOLLIN);
      });
    }
    return;
  }
}

void gate::core::enter(unique_fd fd, const socket_address& from) {
  ++counts_.accepted;
  tunnel& t = add(std::move(fd), from);
  t.accepted = true;
  t.source = source_of(from);
  if (const auto goes = strangers_.enter(t.id, t.source); goes != 0)
    refuse(*tunnels_.at(goes), "too many connections that show no certificate");
  counts_.strangers = strangers_.size();
  // TLS begins when the peer does: who says nothing costs a descriptor and little else.
}

void gate::core::start_dialing(const std::string& host_port,
                               std::function<void(plain_connection, std::string)> done) {
  if (stopped_)
    return done({}, "the gate is closed");
  const auto to = transport::tls::parse_address(host_port);
  if (!to)
    return done({}, "'" + host_port + "' is no numeric HOST:PORT");
  auto fd = transport::tls::open_connection(sockets_, *to);
  if (!fd)
    return done({}, "cannot connect to " + host_port + ": " + why_unreachable(errno));
  tunnel& t = add(std::move(fd), *to);
  t.dialed = [done = std::move(done), remote = t.remote](unique_fd end, const std::string& name,
                                                         const std::string& problem) {
    done({std::move(end), name, remote}, problem);
  };
  t.wire_wants_out = true; // the end of connect
  watch_ends(t);
}

tunnel& gate::core::add(unique_fd fd, const socket_address& other) {
  const auto id = ++last_id_;
  auto& t =
      *tunnels_.emplace(id, std::make_unique<tunnel>(options_.limits.max_message)).first->second;
  t.id = id;
  t.wire = std::move(fd);
  t.remote = other.text();
  t.timer = thread_.at(clock::now() + options_.limits.handshake, [this, &t] {
    refuse(t, t.at == tunnel::phase::connecting ? nobody_answers : "the handshake took too long");
  });
  t.wire_events = EPOLLIN;
  thread_.watch(t.wire.get(), EPOLLIN, [this, id](std::uint32_t e) { on_wire(id, e); });
  return t;
}

void gate::core::advance(tunnel& t) {
  if (t.at == tunnel::phase::connecting && !advance_tcp(t))
    return;
  if (t.at == tunnel::phase::handshaking)
    advance_tls(t);
  else
    confirm(t);
}

bool gate::core::advance_tcp(tunnel& t) {
  if (!t.accepted) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(t.wire.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    sockaddr_storage peer{};
    socklen_t peer_size = sizeof peer;
    if (error == 0
        && ::getpeername(t.wire.get(), reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0)
      return false; // still connecting
    if (error != 0) {
      refuse(t, why_unreachable(error));
      return false;
    }
  }
  transport::tls::tune(sockets_, t.wire.get());
  t.ssl.reset(SSL_new(credentials_.context()));
  if (t.ssl == nullptr || SSL_set_fd(t.ssl.get(), t.wire.get()) != 1) {
    refuse(t, "no memory");
    return false;
  }
  if (t.accepted) {
    SSL_set_accept_state(t.ssl.get());
  } else {
    const auto protocol = wire_form(control_protocol);
    SSL_set_alpn_protos(t.ssl.get(), reinterpret_cast<const unsigned char*>(protocol.data()),
                        static_cast<unsigned>(protocol.size()));
    SSL_set_connect_state(t.ssl.get());
  }
  t.at = tunnel::phase::handshaking;
  return true;
}

void gate::core::advance_tls(tunnel& t) {
  const auto result = t.handshake();
  const auto sent = BIO_number_read(SSL_get_rbio(t.ssl.get()));
  if (t.accepted && sent > 0)
    strangers_.spoke(t.id);
  if (result == tunnel::progress::ended)
    return refuse(t, handshake_problem(t.ssl.get()));
  if (sent > options_.limits.handshake_bytes)
    return refuse(t, "it sent too much before its certificate");
  if (result == tunnel::progress::waiting)
    return watch_ends(t);
  if (t.accepted)
    return open(t);
  t.at = tunnel::phase::confirming;
  confirm(t);
}

/// To the dialer the handshake ends before the other side has looked at our certificate; only what it
/// says then (CAF greets first) tells that we were let in, or why not.
void gate::core::confirm(tunnel& t) {
  const auto result = t.peek();
  if (result == tunnel::progress::ended)
    return refuse(t, handshake_problem(t.ssl.get()));
  if (result == tunnel::progress::waiting)
    return watch_ends(t);
  open(t);
}

/// The handshake is done: the peer has a certificate of ours that is not on the list.
void gate::core::open(tunnel& t) {
  t.name = transport::tls::peer_name(t.ssl.get());
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(t.ssl.get(), &protocol, &size);
  const std::string_view chosen(reinterpret_cast<const char*>(protocol), size);
  if (chosen != control_protocol && chosen != probe_protocol)
    return refuse(t, "it is no control plane");
  t.use = chosen == probe_protocol ? purpose::probe : purpose::control;
  if (t.name.empty() || credentials_.revoked(t.ssl.get()))
    return refuse(t, "its certificate was revoked");
  if (options_.allow && !options_.allow(t.name))
    return refuse(t, "'" + t.name + "' may not come in");
  if (open_by_name_[t.name] >= options_.limits.connections_per_name)
    return refuse(t, "too many connections of '" + t.name + "'");
  thread_.cancel(t.timer);
  strangers_.leave(t.id);
  counts_.strangers = strangers_.size();
  t.at = tunnel::phase::open;
  ++open_by_name_[t.name];
  ++counts_.open;
  if (t.use == purpose::probe) {
    t.timer = thread_.at(clock::now() + options_.limits.handshake, [this, &t] { end(t); });
    tell_clock(t); // unasked, so that the probe knows it was let in
    return serve(t);
  }
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    t.problem = std::string("no socket pair: ") + std::strerror(errno);
    return end(t);
  }
  t.plain = unique_fd(ends[0]);
  t.plain_events = EPOLLIN;
  thread_.watch(t.plain.get(), EPOLLIN, [this, id = t.id](std::uint32_t e) { on_plain(id, e); });
  hand_over(t, {unique_fd(ends[1]), t.name, t.remote});
  t.is_heard = true;
  serve(t);
  if (!beats_ && options_.limits.heartbeat.count() > 0)
    beat();
}

void gate::core::hand_over(tunnel& t, plain_connection connection) {
  if (!t.accepted) {
    ++counts_.dialed;
    return std::exchange(t.dialed, {})(std::move(connection.fd), connection.name, {});
  }
  ++counts_.admitted;
  if (receive_)
    receive_(std::move(connection));
  else
    unreceived_.push_back(std::move(connection));
}

/// Ends a connection that was never open.
void gate::core::refuse(tunnel& t, std::string_view why) {
  if (t.accepted) {
    ++counts_.refused;
    refusals_.refuse(t.source, why, clock::now());
  }
  t.problem = why;
  end(t);
}

} // namespace skippipe::runtime::gate
