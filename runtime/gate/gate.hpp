// The one door of a daemon's control plane: mutual TLS ends here, CAF sees plain bytes of
// authenticated peers only.
//
// CAF's own TLS port can be starved, even killed, by connections that never finish their handshake. So
// CAF has no port at all: this gate listens, bounds strangers in number, time and bytes, and only when
// a peer has shown a certificate of the cluster's authority that is neither expired nor revoked does
// CAF get a socket, one end of a pair inside this process, so no other local user can reach it either.
// Connections that we make take the same way. One thread does all of it and never blocks.
//
// Gates also tell each other that their nodes live: for each of CAF's own heartbeats three threads wake
// up, here one does, once for both directions.
#pragma once

#include "transport/progress.hpp"
#include "transport/tls/ssl.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace skippipe::runtime::gate {

struct gate_limits {
  std::size_t strangers = 256;             ///< Accepted and not authenticated.
  std::size_t strangers_per_source = 64;   ///< The same, per address (IPv6: per /64).
  std::size_t handshake_bytes = 64 * 1024; ///< What a stranger may send.
  std::chrono::milliseconds handshake{5000};
  std::size_t connections_per_name = 64;        ///< Authenticated, of one certificate name.
  std::uint32_t max_message = 64u << 20;        ///< Bytes of one control message's payload.
  std::chrono::milliseconds dead_after{20'000}; ///< Sent bytes unacknowledged for so long.
  /// On a connection of the control plane the side that was dialed says so often that it lives, and the
  /// other one answers; 0: never.
  std::chrono::milliseconds heartbeat{0};
  /// Without a word for so long, where there are heartbeats, a peer is asked once more; given up after
  /// another 1.25 heartbeats.
  std::chrono::milliseconds silence{2000};
};

struct gate_options {
  transport::tls::credential_files files;
  std::string listen;     ///< Numeric "HOST:PORT"; empty: dial out only.
  std::string port_range; ///< "first-last": tried in turn where `listen` has port 0.
  gate_limits limits;
  /// Whether the holder of a certificate with this name may come in; empty: every one of the
  /// authority's. Called on the gate's thread.
  std::function<bool(const std::string& name)> allow;
  /// Told of refusals in one line each. Called on the gate's thread.
  std::function<void(std::string_view line)> log;
};

/// The local end of an authenticated connection.
struct plain_connection {
  transport::unique_fd fd;
  std::string name;   ///< Of the peer's certificate.
  std::string remote; ///< "HOST:PORT".
};

struct gate_counts {
  std::atomic<std::uint64_t> accepted{0}, refused{0}, admitted{0}, dialed{0};
  std::atomic<std::uint64_t> heartbeats{0};         ///< Of peers.
  std::atomic<std::uint64_t> strangers{0}, open{0}; ///< Now.
};

class gate {
public:
  explicit gate(gate_options options);
  ~gate(); ///< Stops.
  gate(const gate&) = delete;
  gate& operator=(const gate&) = delete;

  /// Starts the thread and listens; "" or what is wrong, in one line.
  std::string start();
  void stop();

  /// Where peers arrive; they wait until a receiver is set. `receive` runs on the gate's thread and
  /// must not block; false refuses the connection.
  void receive_with(std::function<bool(plain_connection)> receive);

  /// Connects to a numeric address; `done` is called once, on the gate's thread, with a connection or
  /// with the reason why not.
  void dial(const std::string& host_port,
            std::function<void(plain_connection, std::string problem)> done);

  /// The port listened on; 0 before `start` and when dialing only.
  std::uint16_t port() const;
  const gate_counts& counts() const;

private:
  class core;
  std::unique_ptr<core> core_;
};

/// Names of the protocols inside TLS (ALPN).
inline constexpr std::string_view control_protocol = "skippipe-control/1";
inline constexpr std::string_view probe_protocol = "skippipe-probe/1";

} // namespace skippipe::runtime::gate
