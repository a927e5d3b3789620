// What a node tells others to dial.
#pragma once

#include "runtime/config/node_config.hpp"

#include <string>

namespace skippipe::runtime::daemon {

/// The host of `node` as others reach what listens on `listen_host`: node.advertise, or that address; for
/// every interface (0.0.0.0, ::) the first of this machine that is not loopback.
std::string advertised_host(const node_config& node, const std::string& listen_host);

/// HOST:PORT for the control plane; node.advertise may bring a port of its own.
std::string advertised_control(const node_config& node, std::uint16_t port);

/// HOST:PORT in numbers, as data planes dial it. Throws std::runtime_error when nobody knows the name.
std::string numeric_address(const std::string& host, std::uint16_t port);

} // namespace skippipe::runtime::daemon
