// The transport that a node's configuration asks for.
#pragma once

#include "runtime/config/node_config.hpp"
#include "transport/tls/tls.hpp"
#include "transport/transport.hpp"

#include <functional>
#include <memory>
#include <string>

namespace skippipe::runtime::daemon {

/// Where an endpoint is to be reached.
struct data_place {
  std::uint16_t port = 0; ///< Of node.data_listen's host.
  std::string relay;      ///< HOST:PORT, numeric; then nothing listens here.
};

/// Ready for `listen`. Throws std::runtime_error with one line.
std::unique_ptr<transport::endpoint>
make_data_endpoint(const node_config& node, transport::peer_id life, const data_place& place,
                   std::function<void(const std::string&)> log);

/// What every use of TLS by this node's data plane shares: its files, who may be whom.
transport::tls_options tls_options_of(const node_config& node,
                                      std::function<void(const std::string&)> log);

/// A port of `range` (or any) that nobody listens on at the moment; 0: none.
std::uint16_t free_port(const std::string& host, const port_range& range);

} // namespace skippipe::runtime::daemon
