// Whether a cluster would take a node in, asked before the node is started.
#pragma once

#include "runtime/check/node_check.hpp"

#include <vector>

namespace skippipe::runtime::daemon {

/// Asks the scheduler that one of `seeds` knows. Nothing is left behind: no member, no used token, no line in its
/// log. Blocks for seconds at most.
connect_finding ask_admission(const node_config& node, const std::vector<address>& seeds);

} // namespace skippipe::runtime::daemon
