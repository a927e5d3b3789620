// Which node serves which stage.
#pragma once

#include "scheduler/instance.hpp"

#include <cstdint>
#include <vector>

namespace skippipe::scheduler {

/// Nodes per stage: the given sizes, or, where they are free, in proportion to the tasks that a
/// stage runs (every microbatch runs stage 0, only some run each other stage), one at least.
std::vector<std::uint32_t> stage_sizes(const instance& problem);

/// The given arrangement, or nodes in id order filled into stage_sizes.
std::vector<std::vector<node_id>> simple_arrangement(const instance& problem);

/// The given arrangement, or one in which every origin has nodes of all stages nearby.
std::vector<std::vector<node_id>> near_arrangement(const instance& problem);

} // namespace skippipe::scheduler
