// Which tasks decide how long a plan takes.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/plan.hpp"
#include "scheduler/simulator.hpp"

#include <cstdint>
#include <set>
#include <utility>

namespace skippipe::scheduler {

/// A chain of tasks (index in paths, step) from the start to the makespan, each beginning as soon as
/// the one before lets it: back from the last end, always to what the task waited for. `timed` is the plan's
/// simulation, without violations.
std::set<std::pair<std::size_t, std::uint32_t>>
critical_path(const instance& problem, const plan& p, const simulation& timed);

} // namespace skippipe::scheduler
