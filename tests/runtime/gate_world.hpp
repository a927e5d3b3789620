// Keys, strangers and a log for tests of the gate.
#pragma once

#include "runtime/gate/gate.hpp"
#include "runtime/security/authority.hpp"
#include "runtime/security/pem.hpp"

#include "scratch_folder.hpp"

#include <catch2/catch.hpp>

#include <openssl/err.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <mutex>
#include <vector>

namespace skippipe::runtime::testing {

using namespace std::chrono_literals;
inline constexpr auto patience = 20s;
/// Tests write to connections that the gate has closed.
inline const auto no_sigpipe = std::signal(SIGPIPE, SIG_IGN);

/// An authority with certificates for whoever asks.
class key_world {
public:
  key_world() : ca(security::authority::create(at / "keys", "lab", std::chrono::days{100})) {}
  transport::tls::credential_files keys(const std::string& node) {
    const auto files = ca.files_of(node);
    if (!std::filesystem::exists(files.certificate))
      ca.issue(node, {}, std::chrono::days{50});
    return {files.ca.string(), files.certificate.string(), files.key.string(),
            files.revoked.string()};
  }
  scratch_folder at;
  security::authority ca;
};

/// Collects lines from any thread.
class line_log {
public:
  std::function<void(std::string_view)> sink() {
    return [this](std::string_view line) {
      const std::lock_guard guard(mutex_);
      lines_.emplace_back(line);
      changed_.notify_all();
    };
  }
  std::vector<std::string> lines() {
    const std::lock_guard guard(mutex_);
    return lines_;
  }
  bool wait_for(const std::string& part) {
    std::unique_lock guard(mutex_);
    return changed_.wait_for(guard, patience, [&] {
      for (const auto& line : lines_)
        if (line.find(part) != std::string::npos)
          return true;
      return false;
    });
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

/// True when `condition` holds within the patience of a test.
template <class Condition>
bool eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    ::usleep(1000);
  }
  return true;
}

/// A blocking TCP connection to a local port.
class raw_socket {
public:
  explicit raw_socket(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected = ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
    const timeval limit{std::chrono::seconds(patience).count(), 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  int fd() const { return fd_.get(); }
  void send(std::string_view data) const {
    (void)::send(fd_.get(), data.data(), data.size(), MSG_NOSIGNAL);
  }
  /// The other side closes within the patience of a test, whatever it says before.
  bool is_dropped() const {
    char sink[4096];
    for (;;) {
      const auto n = ::recv(fd_.get(), sink, sizeof sink, 0);
      if (n <= 0)
        return n == 0 || errno == ECONNRESET;
    }
  }
  bool connected = false;

private:
  transport::unique_fd fd_;
};

/// A blocking TLS client that shows what it is told to show.
class tls_client {
public:
  struct manner {
    std::string certificate, key; ///< Empty: none.
    std::string protocol{gate::control_protocol};
    int version = TLS1_3_VERSION;
  };
  tls_client(std::uint16_t port, const manner& how) : socket_(port) {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_max_proto_version(context_.get(), how.version);
    if (!how.certificate.empty()) {
      REQUIRE(SSL_CTX_use_certificate_chain_file(context_.get(), how.certificate.c_str()) == 1);
      REQUIRE(SSL_CTX_use_PrivateKey_file(context_.get(), how.key.c_str(), SSL_FILETYPE_PEM) == 1);
    }
    ssl_.reset(SSL_new(context_.get()));
    const auto protocol = static_cast<char>(how.protocol.size()) + how.protocol;
    if (!how.protocol.empty())
      SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(protocol.data()),
                          static_cast<unsigned>(protocol.size()));
    SSL_set_fd(ssl_.get(), socket_.fd());
    handshaken = SSL_connect(ssl_.get()) == 1;
  }
  ~tls_client() { ERR_clear_error(); }
  bool send(std::string_view data) {
    return SSL_write(ssl_.get(), data.data(), static_cast<int>(data.size())) > 0;
  }
  /// "" when the connection ends.
  std::string receive() {
    char data[4096];
    const int n = SSL_read(ssl_.get(), data, sizeof data);
    return n > 0 ? std::string(data, static_cast<std::size_t>(n)) : std::string{};
  }
  std::string peer_serial() const {
    return security::serial_of(SSL_get0_peer_certificate(ssl_.get()));
  }
  bool handshaken = false;

private:
  raw_socket socket_;
  transport::tls::unique_ssl_context context_;
  transport::tls::unique_ssl ssl_;
};

/// A header of CAF's protocol: a client's handshake that announces `payload` bytes.
inline std::string handshake_header(std::uint32_t payload) {
  std::string header(32, '\0');
  header[0] = 1;
  for (int i = 0; i < 4; ++i)
    header[static_cast<std::size_t>(4 + i)] = static_cast<char>(payload >> (24 - 8 * i));
  return header;
}

} // namespace skippipe::runtime::testing
