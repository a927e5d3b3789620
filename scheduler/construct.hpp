// A good first plan, made in one pass.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/plan.hpp"
#include "scheduler/random.hpp"

#include <cstdint>
#include <vector>

namespace skippipe::scheduler {

/// Inserts one microbatch after the other, each on the best of `choices` routes drawn from a
/// balanced set (or on its given route) and on the nodes that run it soonest. The instance must be
/// feasible.
plan construct(const instance& problem, const std::vector<std::vector<node_id>>& arrangement,
               std::uint32_t choices, random_source& random);

} // namespace skippipe::scheduler
