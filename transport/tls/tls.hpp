// Data plane over mutual TLS 1.3 and several TCP streams per peer, for networks that are not trusted.
//
// Both sides must show a certificate of the cluster's private CA; whoever cannot is refused before a
// byte of his is interpreted. Large payloads are striped over the streams in chunks and land straight
// in the buffer that `place` returned. A connection carries messages both ways, so a node that can only
// dial out is reached over the connection it made, or through a relay (relay.hpp). One progress thread does all of it without blocking.
#pragma once

#include "transport/transport.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace skippipe::transport {

struct tls_options {
  peer_id self = 0;
  limits bounds;
  std::string ca, certificate, key;   ///< PEM files; replaced ones are taken up while running.
  std::string revoked;                ///< Revocation list of the CA; empty: none.
  std::string listen = "127.0.0.1:0"; ///< Numeric "HOST:PORT" ("[::1]:0"); empty: dial out only.
  std::string relay;      ///< Numeric "HOST:PORT" that a node without `listen` is reached through.
  std::string port_range; ///< "first-last": tried in turn where `listen` has port 0.
  std::string advertise;  ///< What peers dial; empty: the address listened on.
  unsigned streams = 4;   ///< TCP streams of a connection made here, 1..16.

  /// Bandwidth-delay product of one peer's path; above the kernel's own sizing (a few MB) the socket
  /// buffers are set from it. 0: left to the kernel, which adapts them by itself.
  std::size_t window_bytes = 0;

  std::chrono::milliseconds handshake_timeout{5000}; ///< From TCP's connect to the first message.
  std::chrono::milliseconds dead_after{20'000};      ///< Sent bytes unacknowledged for so long.
  std::size_t max_half_open = 64; ///< Accepted and not yet authenticated; above, the oldest goes.

  /// Whether the holder of the certificate with this common name may be `peer`. Empty: anyone whom
  /// the CA has certified. Called on the progress thread.
  std::function<bool(peer_id peer, const std::string& name)> allow;
  /// Told of each refused stranger, in one line. Called on the progress thread.
  std::function<void(std::string_view line)> log;
};

/// Files are looked at again so often; a certificate that was revoked loses its connections then.
inline constexpr std::chrono::seconds credentials_refresh{2};

/// `listen` answers `setup_failed` for unusable certificates or addresses. Addresses are the text
/// "HOST:PORT", or "relay HOST:PORT NODE" for a node behind a relay.
std::unique_ptr<endpoint> make_tls_endpoint(tls_options options);

} // namespace skippipe::transport
