// Makes any transport behave like a slower network: latency, bandwidth and the contention of a node's
// concurrent sends for its interface.
//
// A message is held back on the sending side for as long as the emulated network would take, then
// sent by the wrapped endpoint, whose own time comes on top. Messages to one peer go one after the
// other and keep their order. With contention the messages to different peers that leave at the same
// time share the sender's interface evenly, except that none is faster than its own link.
#pragma once

#include "transport/timer.hpp"
#include "transport/transport.hpp"

namespace skippipe::transport {

struct emulated_link {
  double latency_s = 0;
  double bandwidth_Bps = 0; ///< 0: unlimited.
};

struct emulation_options {
  peer_id self = 0;
  limits bounds; ///< Of the emulated endpoint: its deadlines are in emulated time.
  /// The link of this node to `peer`; a pure function.
  std::function<emulated_link(peer_id peer)> link;
  /// Bytes that the network believes to carry; empty: the real size of header and payload.
  std::function<double(std::span<const std::byte> header, std::size_t payload)> nominal_bytes;
  /// Off: every message takes latency + bytes / bandwidth, whatever else is under way.
  bool contention = true;
  double interface_Bps = 0; ///< Shared by all sends under way; 0: only the links limit.
};

/// Deadlines of the wrapped endpoint run in real time; give it generous limits.
std::unique_ptr<endpoint> make_emulated_endpoint(std::unique_ptr<endpoint> inner,
                                                 emulation_options options,
                                                 std::shared_ptr<timer> time);

} // namespace skippipe::transport
