// The one way of every cross-node message (R11).
#pragma once

#include "actors/protocol/messages.hpp"

#include <functional>
#include <string>
#include <vector>

namespace skippipe::actors {

/// What arrives: a checked message and, where it has one, its payload. Local to the process.
struct inbound {
  node_id from = 0;
  wire_message message;
  payload tensor;
};

/// Sends and receives for one node.
class link {
public:
  virtual ~link() = default;
  /// Queues the message and, for messages that have one, its payload; never blocks. The payload's
  /// bytes must not change until the receiver is done with them. Thread-safe.
  virtual void send(node_id to, wire_message message, payload tensor = {}) = 0;
  /// What was received since the last call says of the links to here. Thread-safe.
  virtual std::vector<link_sample> take_samples() { return {}; }
};

/// What a link calls, from any thread; must not block.
struct link_receiver {
  std::function<void(inbound)> on_message;
  std::function<void(node_id peer, std::string reason)> on_peer_lost;
};

} // namespace skippipe::actors
