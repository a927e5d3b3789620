// skippipe up: a cluster of daemon processes on this machine, in front.
#pragma once

#include "runtime/config/node_config.hpp"

#include <string>

namespace skippipe::runtime::daemon {

/// Runs until SIGINT or SIGTERM (ends the daemons in order; again: at once). `program`: skippipe itself.
/// Prints what happens, as JSON with `json`. Returns the exit code; throws std::runtime_error with one
/// line where a daemon does not start.
int run_local_cluster(const cluster_config& cluster, const std::string& program, bool json);

} // namespace skippipe::runtime::daemon
