// skippipe node: one daemon, from its configuration to its end.
#pragma once

#include "runtime/config/node_config.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace skippipe::runtime::daemon {

/// A configuration that was read again.
struct fresh_config {
  std::optional<node_config> config; ///< None where it is wrong.
  std::vector<std::string> lines;    ///< What is wrong, or what to beware of.
};

struct daemon_request {
  node_config config;
  std::function<fresh_config()> reload;
};

/// Runs until SIGTERM (drains; again: at once), SIGINT (at once) or dismissal. Prints "READY {json}" on
/// stdout when it serves. Returns the exit code; throws std::runtime_error with one line where it cannot
/// start.
int run_daemon(const daemon_request& request);

} // namespace skippipe::runtime::daemon
