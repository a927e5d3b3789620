// skippipe plan --compare: every strategy on one instance.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/planner.hpp"

namespace skippipe::runtime {

/// Plans `problem` with every strategy within `options.time_limit_s` in all (those that search share
/// what the others leave, equally) and prints a table, or one JSON object per strategy: makespan, reduction
/// against `full` of as many microbatches, share of the work that nodes of stages 1.. do, utilisation,
/// bubble. Returns the exit code.
int compare_strategies(const scheduler::instance& problem,
                       const scheduler::planner_options& options, bool json);

} // namespace skippipe::runtime
