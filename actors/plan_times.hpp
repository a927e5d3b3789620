// When the tasks of a plan are due, on the clock that nodes run by.
#pragma once

#include "actors/trace/plan_record.hpp"
#include "scheduler/instance.hpp"

namespace skippipe::actors {

/// Seconds from the iteration's start: [node][place in the node's order]. Empty: not known.
using plan_times = std::vector<std::vector<trace::task_times>>;

/// As simulated with the costs of `problem`, in whose node ids `plan` is. `time_scale`: seconds of the problem
/// per second of the clock. Empty when the plan does not fit the problem.
plan_times times_of(const scheduler::instance& problem, const scheduler::plan& plan,
                    double time_scale);

} // namespace skippipe::actors
