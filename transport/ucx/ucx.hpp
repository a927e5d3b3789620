// Data plane over UCX active messages, for trusted networks only.
//
// UCX's tcp neither encrypts nor authenticates, and whoever reaches its port can write memory of
// this process. So it listens only on the devices named here. Addresses come from `local_address`
// of the peer over an authenticated channel.
//
// A payload is copied once, out of UCX's receive segments into the buffer that `place` returned. UCX
// could spare that copy on tcp only for endpoints that do not report errors (it then lets the peer
// write into our memory, which a frozen peer might do long after we have given it up). One progress thread
// owns all UCX objects and sleeps when idle. A peer that dies is noticed within a second; a frozen or
// cut-off one perhaps never: rely on deadlines and on the control plane's heartbeats.
//
// Shared memory between processes is not offered: UCX 1.13 does not choose it for endpoints that
// report errors.
#pragma once

#include "transport/transport.hpp"

#include <memory>
#include <string>

namespace skippipe::transport {

struct ucx_options {
  peer_id self = 0;
  limits bounds;
  std::string transports = "tcp"; ///< As UCX_TLS.
  std::string devices = "lo";     ///< As UCX_NET_DEVICES: trusted interfaces; must not be empty.
  std::string port_range;         ///< "first-last"; empty: any port.
  bool checksum = true;           ///< Verify every payload; a mismatch loses the peer.
  std::chrono::microseconds linger{40};   ///< Awake for so long after the last work.
  bool busy_poll = false;                 ///< Never sleep: lower latency for one core.
  std::size_t segment_bytes = 512 * 1024; ///< UCX's own send and receive segments on tcp.
  std::size_t window = 32; ///< Transfers handed to UCX at once per peer; the rest wait here.
  std::chrono::milliseconds goodbye{500}; ///< The longest a `close` waits for its last bytes.
};

std::unique_ptr<endpoint> make_ucx_endpoint(ucx_options options);

} // namespace skippipe::transport
