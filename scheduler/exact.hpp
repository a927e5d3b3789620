// Tiny problems solved to the optimum, by branch and bound.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/plan.hpp"

#include <chrono>

namespace skippipe::scheduler {

/// What the exact search came to.
struct exact_result {
  plan best;           ///< As good as the plan it began with, or better.
  bool proven = false; ///< No valid plan is quicker.
};

/// Looks through every arrangement, every choice of paths and every order of every node that could
/// beat `start`, a valid plan with makespan. Gives up at the deadline, after a fixed number of
/// steps (so that results repeat), and at once where there are too many choices to list.
exact_result improve_exactly(const instance& problem, const plan& start,
                             std::chrono::steady_clock::time_point deadline);

} // namespace skippipe::scheduler
