// Which node serves which stage, by search on the estimate.
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

/// `arrangement` after up to two changes for the good of stage `needy`, best first: two nodes of different
/// stages trade places or, where sizes are free, one goes over to `needy`. Each change shortens the
/// estimate by a share of more than `worth` for every node that moves; nodes marked in `stays` keep their
/// places. Stops at the deadline.
std::vector<std::vector<node_id>>
change_few_roles(const instance& problem, std::vector<std::vector<node_id>> arrangement,
                 stage_id needy, const std::vector<std::uint8_t>& stays, double worth,
                 std::chrono::steady_clock::time_point deadline);

} // namespace skippipe::scheduler
