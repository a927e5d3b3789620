// Paths over near nodes that share the load, without regard to when tasks run.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/path_rules.hpp"
#include "scheduler/plan.hpp"

#include <vector>

namespace skippipe::scheduler {

/// One path per route, origins in turn. Each takes the nodes that cost least in links and work plus
/// `pressure` times what they have been given already: seconds of work, or of holding a slot
/// where memory is what is scarce (R4).
std::vector<path> spread_paths(const instance& problem,
                               const std::vector<std::vector<node_id>>& arrangement,
                               const std::vector<route>& routes, double pressure);

} // namespace skippipe::scheduler
