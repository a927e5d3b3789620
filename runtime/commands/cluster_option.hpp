// The options of every command that speaks with a cluster.
#pragma once

#include "runtime/daemon/client.hpp"

#include <CLI/CLI.hpp>

namespace skippipe::runtime {

inline void add_cluster_options(CLI::App& command, daemon::cluster_words& words) {
  command.add_option("--cluster", words.cluster,
                     "HOST:PORT of any node of the cluster (default: $SKIPPIPE_CLUSTER)");
  command.add_option("--keys", words.keys,
                     "Folder with ca.pem, certificate.pem, key.pem (default: $SKIPPIPE_KEYS, or "
                     "what is known of a cluster on this machine)");
}

} // namespace skippipe::runtime
