// A relay for nodes that can only dial out.
//
// Such a node keeps a line to the relay; whoever wants to reach it asks the relay, and both dial the relay
// once per stream and are joined. What passes is the end-to-end TLS of the two nodes, keys and
// certificates included: the relay sees ciphertext, and can only delay or cut it. It serves none but holders
// of certificates of its CA, under the names that `allow` grants them.
#pragma once

#include "transport/tls/tls.hpp"

namespace skippipe::transport {

/// Runs a thread of its own between `listen` and `close`.
class tls_relay {
public:
  virtual ~tls_relay() = default;
  virtual std::error_code listen() = 0;
  /// "HOST:PORT", after `listen`.
  virtual std::string address() const = 0;
  virtual void close() = 0;
};

/// Of `options` it uses the files, where to listen, the times, `max_half_open`, `allow` and `log`.
std::unique_ptr<tls_relay> make_tls_relay(tls_options options);

} // namespace skippipe::transport
