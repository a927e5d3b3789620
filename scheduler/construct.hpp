// A good first plan, made in one pass.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/plan.hpp"
#include "scheduler/random.hpp"

#include <cstdint>
#include <vector>

namespace skippipe::scheduler {

/// The better of two constructions: one microbatch after the other into the gaps of a timetable,
/// each on the best of `choices` routes drawn from a balanced set (or on its given route); or load
/// spread over near nodes (`spread_paths`) and run on the clock (`dispatch`). The instance must be
/// feasible.
plan construct(const instance& problem, const std::vector<std::vector<node_id>>& arrangement,
               std::uint32_t choices, random_source& random);

} // namespace skippipe::scheduler
