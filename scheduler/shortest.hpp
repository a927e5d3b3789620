// The nodes that serve a route soonest when nothing has to wait.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/path_rules.hpp"
#include "scheduler/plan.hpp"

#include <vector>

namespace skippipe::scheduler {

/// One node per stage of `r`, such that forward and backward work and links take least in sum.
std::vector<hop> shortest_nodes(const instance& problem,
                                const std::vector<std::vector<node_id>>& arrangement,
                                node_id origin, const route& r);

} // namespace skippipe::scheduler
