// `skippipe node --check [--connect]`: what would keep a node from working, found without starting it.
#pragma once

#include "runtime/config/interfaces.hpp"
#include "runtime/config/node_config.hpp"
#include "runtime/config/toml_document.hpp"

#include "transport/tls/ssl.hpp"

#include <optional>
#include <string>
#include <vector>

namespace skippipe::runtime {

/// The TLS files that the daemon uses; nullopt in insecure mode. Without `security.revoked`, a list
/// that lies beside the CA's certificate is used, as `skippipe certs` puts it there.
std::optional<transport::tls::credential_files> credential_files_of(const node_config& node);

/// Of `here` the interface that UCX may use: one that has data_listen's address, on which UCX would listen, and is
/// trusted. "" with the reason in `problem`, when there is none.
std::string ucx_device(const std::vector<local_interface>& here, const node_config& node,
                       std::string& problem);

/// What must hold on this machine: key files that fit each other and the node's name, trusted
/// interfaces for UCX. Problems carry the key's place. Returns warnings (certificates that end soon, names of
/// interfaces that are not here).
std::vector<std::string> check_node(const toml_document& document, const node_config& node,
                                    problem_list& problems);

/// One line of `--connect`: what was tried, and "" or what is wrong.
struct connect_finding {
  std::string what;   ///< "seed 10.0.0.1:7000", "node.listen 10.0.0.5:7000".
  std::string detail; ///< When it is well: round trip, name, clock.
  std::string problem;
};

/// Tries this node's own ports, then every seed: can it be reached, does it accept our certificate,
/// and do the clocks agree. Blocks for at most `patience` per address.
std::vector<connect_finding> check_connections(const node_config& node,
                                               std::chrono::milliseconds patience);

} // namespace skippipe::runtime
