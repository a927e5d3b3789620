// `skippipe node --check [--connect]`: what would keep a node from working, found without starting it.
#pragma once

#include "runtime/config/interfaces.hpp"
#include "runtime/config/node_config.hpp"
#include "runtime/config/toml_document.hpp"

#include "transport/tls/ssl.hpp"

#include <chrono>
#include <functional>
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

/// A node's file that is well.
struct checked_node {
  node_config config;
  std::vector<std::string> warnings;
};
/// Reads the file (empty: none, a cluster of one on loopback) with its --set words, and checks what it says and
/// what must hold on this machine. Throws command_error with every problem.
checked_node read_checked_node(const std::string& file, const std::vector<std::string>& overrides);

/// One line of `--connect`: what was tried, and "" or what is wrong.
struct connect_finding {
  std::string what;   ///< "seed 10.0.0.1:7000", "node.listen 10.0.0.5:7000".
  std::string detail; ///< When it is well: round trip, name, clock.
  std::string problem;
};

/// Asks the cluster that these seeds know whether it would take the node in.
using admission_question =
    std::function<connect_finding(const node_config&, const std::vector<address>& seeds)>;

/// Tries this node's own ports, then every seed: can it be reached, does it accept our certificate,
/// and do the clocks agree; at last `ask` (where it is given) those that can. Blocks for at most
/// `patience` per address.
std::vector<connect_finding> check_connections(const node_config& node,
                                               std::chrono::milliseconds patience,
                                               const admission_question& ask = {});

} // namespace skippipe::runtime
