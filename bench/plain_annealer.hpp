// A plain simulated annealer over the same problems: the peer that the planner is measured against.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/plan.hpp"

#include <cstdint>

namespace skippipe::bench {

/// Anneals arrangement, paths and task priorities for `seconds` of its thread. Each trial changes one thing and
/// times everything anew with a list scheduler: a free node starts the ready task of the best
/// priority, losses and backwards before forwards, forwards only where a slot is free. Trials that
/// lock up are refused. One thread. The instance must be feasible, its stages at most 64.
scheduler::plan plain_anneal(const scheduler::instance& problem, double seconds,
                             std::uint64_t seed);

} // namespace skippipe::bench
