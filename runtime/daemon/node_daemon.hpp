// skippipe node: one daemon, from its configuration to its end.
#pragma once

#include "runtime/config/node_config.hpp"

#include <functional>
#include <optional>
#include <string>

namespace skippipe::runtime::daemon {

struct daemon_request {
  node_config config;
  /// Reads the configuration again; nullopt where it is wrong, after saying so.
  std::function<std::optional<node_config>()> reload;
};

/// Runs until SIGTERM (drains; again: at once), SIGINT (at once) or dismissal. Prints "READY {json}" on
/// stdout when it serves. Returns the exit code; throws std::runtime_error with one line where it cannot
/// start.
int run_daemon(const daemon_request& request);

} // namespace skippipe::runtime::daemon
