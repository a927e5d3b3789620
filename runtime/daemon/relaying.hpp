// Nodes that only dial out: the relay that a node offers them, and how they find it.
#pragma once

#include "runtime/daemon/control_plane.hpp"
#include "transport/tls/relay.hpp"

#include <functional>
#include <memory>
#include <string>

namespace skippipe::runtime::daemon {

/// A running relay and where others reach it, HOST:PORT in numbers.
struct own_relay {
  std::unique_ptr<transport::tls_relay> relay;
  std::string where;
};

/// As data_plane.relay_listen says; nothing where it is not given. Throws std::runtime_error with one
/// line.
own_relay offer_relay(const node_config& node, std::function<void(const std::string&)> log);

/// Where the member `relay` relays: `text`, or `error`. Blocks.
answer ask_for_relay(control_plane& plane, const coordinator_actor& scheduler,
                     const std::string& relay);

} // namespace skippipe::runtime::daemon
