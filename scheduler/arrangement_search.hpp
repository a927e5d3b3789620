// Which node serves which stage, by local search on the estimate.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/random.hpp"

#include <chrono>
#include <cstdint>
#include <vector>

namespace skippipe::scheduler {

/// Improves an arrangement by swapping nodes between stages, annealed on arrangement_estimate, for
/// `steps` trials or until the deadline. Stage sizes stay. Returns the best one met.
std::vector<std::vector<node_id>>
improve_arrangement(const instance& problem, std::vector<std::vector<node_id>> arrangement,
                    std::uint64_t steps, std::chrono::steady_clock::time_point deadline,
                    random_source& random);

} // namespace skippipe::scheduler
