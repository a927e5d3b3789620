// Whether instances and plans are what they must be.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/plan.hpp"
#include "scheduler/planner.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace skippipe::scheduler {

/// Nodes of stage 0 under `arrangement`; each starts microbatches.
std::uint32_t origin_count(const instance& problem);

/// Microbatches of one iteration: one per given route (R12), else what the instance says of all origins or
/// of each.
std::uint32_t microbatch_count(const instance& problem, std::uint32_t origins);

/// Everything in an instance that contradicts itself or makes no sense (sizes, ranges).
std::vector<std::string> check_numbers(const instance& problem);

/// What sound numbers ask for in vain: more nodes, other stage sizes, memory.
std::vector<infeasible> check_resources(const instance& problem);

/// Both of the above; empty when only the rules of paths can still be in the way of a plan.
std::vector<std::string> check_instance(const instance& problem);

/// Everything R2-R4 and freedom of deadlock forbid in `p`; empty for a valid plan. A plan of
/// strategy "full" is held to all stages in order instead of the instance's path_length.
/// The makespan must be the simulated one within 1 ms.
std::vector<std::string> check_plan(const instance& problem, const plan& p);

} // namespace skippipe::scheduler
