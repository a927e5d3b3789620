#include "runtime/check/probe.hpp"

#include "runtime/gate/gate.hpp"
#include "runtime/gate/unreachable.hpp"

#include <openssl/err.h>

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace skippipe::runtime {

namespace {

using steady = std::chrono::steady_clock;
using transport::unique_fd;

struct addrinfo_deleter {
  void operator()(addrinfo* all) const noexcept { ::freeaddrinfo(all); }
};
using unique_addrinfo = std::unique_ptr<addrinfo, addrinfo_deleter>;

unique_addrinfo resolve(const address& where, int flags, std::string& problem) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* all = nullptr;
  const int error =
      ::getaddrinfo(where.host.c_str(), std::to_string(where.port).c_str(), &hints, &all);
  if (error != 0)
    problem = "the name '" + where.host + "' cannot be resolved (" + ::gai_strerror(error)
              + "); check its spelling and the DNS";
  return unique_addrinfo(error == 0 ? all : nullptr);
}

/// Waits until `fd` is ready; false when `until` has passed.
bool wait_for(int fd, short events, steady::time_point until) {
  pollfd entry{fd, events, 0};
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - steady::now());
  return left.count() > 0 && ::poll(&entry, 1, static_cast<int>(left.count()) + 1) == 1;
}

unique_fd connect_to(const addrinfo& where, steady::time_point until, std::string& problem) {
  unique_fd fd(::socket(where.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  int error = fd ? 0 : errno;
  if (error == 0 && ::connect(fd.get(), where.ai_addr, where.ai_addrlen) != 0)
    error = errno;
  if (error == EINPROGRESS) {
    if (!wait_for(fd.get(), POLLOUT, until)) {
      problem =
          std::string{nobody_answers} + "; is the host up, and does a firewall let us through?";
      return {};
    }
    socklen_t size = sizeof error;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error == 0)
    return fd;
  problem = why_unreachable(error);
  if (error == ECONNREFUSED)
    problem += "; the host is up: is the node running?";
  return {};
}

/// A TLS client without blocking calls.
class client {
public:
  client(SSL_CTX* context, unique_fd fd, steady::time_point until)
      : fd_(std::move(fd)), until_(until), ssl_(SSL_new(context)) {
    const auto name =
        static_cast<char>(gate::probe_protocol.size()) + std::string(gate::probe_protocol);
    SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(name.data()),
                        static_cast<unsigned>(name.size()));
    SSL_set_fd(ssl_.get(), fd_.get());
    SSL_set_connect_state(ssl_.get());
  }
  /// The seed speaks first, its clock: to a client the handshake ends before its certificate has been
  /// looked at, and a question sent meanwhile could cost us the reason of a refusal.
  bool handshake() {
    return retry([&] { return SSL_do_handshake(ssl_.get()); }) && read_clock();
  }
  /// One question, one answer: the seed's clock in seconds since 1970.
  std::optional<double> ask_clock() {
    if (!retry([&] { return SSL_write(ssl_.get(), "?", 1); }))
      return std::nullopt;
    return read_clock();
  }
  std::optional<double> read_clock() {
    unsigned char answer[8];
    std::size_t got = 0;
    while (got < sizeof answer) {
      std::size_t n = 0;
      if (!retry([&] { return SSL_read_ex(ssl_.get(), answer + got, sizeof answer - got, &n); }))
        return std::nullopt;
      got += n;
    }
    std::uint64_t nanoseconds = 0;
    for (const unsigned char byte : answer)
      nanoseconds = nanoseconds << 8 | byte;
    return 1e-9 * static_cast<double>(nanoseconds);
  }
  std::string name() const { return transport::tls::peer_name(ssl_.get()); }
  /// Why the last step failed.
  std::string problem() const {
    if (steady::now() >= until_)
      return "it answers TCP but not TLS in time; is it overloaded, or no node of ours?";
    const long verdict = SSL_get_verify_result(ssl_.get());
    if (verdict == X509_V_ERR_CERT_NOT_YET_VALID || verdict == X509_V_ERR_CERT_HAS_EXPIRED)
      return std::string("its certificate does not hold now (")
             + X509_verify_cert_error_string(verdict) + "); compare the clocks, or renew it";
    if (verdict != X509_V_OK)
      return std::string("its certificate was not accepted (")
             + X509_verify_cert_error_string(verdict)
             + "); is it of the same authority (security.ca)?";
    const unsigned long code = ERR_peek_error();
    const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
    const std::string said = reason != nullptr ? reason : "it ended the connection";
    if (said.find("wrong version number") != std::string::npos
        || said.find("packet length") != std::string::npos)
      return "it does not speak TLS (" + said
             + "); is its security.mode insecure, or the port wrong?";
    if (said.find("alert") != std::string::npos || reason == nullptr)
      return "it does not accept us (" + said
             + "); compare security.ca and the revocation list there, and the clocks";
    return "TLS fails (" + said + ")";
  }

private:
  template <class Step>
  bool retry(Step step) {
    for (;;) {
      ERR_clear_error();
      const int result = step();
      if (result == 1)
        return true;
      const int why = SSL_get_error(ssl_.get(), result);
      if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
        return false;
      if (!wait_for(fd_.get(), why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, until_))
        return false;
    }
  }

  unique_fd fd_;
  steady::time_point until_;
  transport::tls::unique_ssl ssl_;
};

double now_s() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// The best of a few round trips: the shortest bounds the error by its half.
bool measure_clock(client& c, probe_result& result) {
  for (int i = 0; i < 8; ++i) {
    const double before = now_s();
    const auto theirs = c.ask_clock();
    const double after = now_s();
    if (!theirs)
      return false;
    const double uncertainty = 0.5 * (after - before);
    if (!result.clock_uncertainty_s || uncertainty < *result.clock_uncertainty_s) {
      result.clock_uncertainty_s = uncertainty;
      result.clock_offset_s = *theirs - 0.5 * (before + after);
    }
  }
  return true;
}

void judge_clock(probe_result& result) {
  const double offset = *result.clock_offset_s;
  if (std::abs(offset) - *result.clock_uncertainty_s <= clock_tolerance_s)
    return;
  char text[128];
  std::snprintf(text, sizeof text, "its clock is %.0f s %s ours; set the wrong one (NTP)",
                std::abs(offset), offset > 0 ? "ahead of" : "behind");
  result.problem = text;
}

} // namespace

probe_result probe(const address& seed,
                   const std::optional<transport::tls::credential_files>& files,
                   std::chrono::milliseconds patience) {
  probe_result result;
  result.seed = seed;
  const auto all = resolve(seed, 0, result.problem);
  transport::tls::unique_ssl_context context;
  if (files && (context = transport::tls::make_ssl_context(*files, result.problem)) == nullptr)
    return result;
  for (const auto* one = all.get(); one != nullptr; one = one->ai_next) {
    const auto start = steady::now();
    result.problem.clear();
    auto fd = connect_to(*one, start + patience, result.problem);
    if (!fd)
      continue;
    result.connect_s = std::chrono::duration<double>(steady::now() - start).count();
    if (!files)
      return result;
    client c(context.get(), std::move(fd), start + patience);
    if (!c.handshake() || !measure_clock(c, result)) {
      result.problem = c.problem();
      ERR_clear_error();
      return result;
    }
    result.name = c.name();
    judge_clock(result);
    return result;
  }
  return result;
}

std::string probe_listen(const address& at) {
  std::string problem;
  const auto all = resolve(at, AI_PASSIVE, problem);
  for (const auto* one = all.get(); one != nullptr; one = one->ai_next) {
    const unique_fd fd(::socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int reuse = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
    if (fd && ::bind(fd.get(), one->ai_addr, one->ai_addrlen) == 0 && ::listen(fd.get(), 1) == 0)
      return {};
    const int error = errno;
    problem = error == EADDRINUSE ? "another process listens on it; is the node running already?"
              : error == EADDRNOTAVAIL ? "no interface of this machine has this address"
                                       : std::strerror(error);
  }
  return problem;
}

} // namespace skippipe::runtime
