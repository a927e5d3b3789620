// What follows a stage's last backward: its replicas sum up their gradients.
#pragma once

#include "scheduler/instance.hpp"

#include <vector>

namespace skippipe::scheduler {

/// Whether the instance says how many bytes stages reduce and over which links.
bool reduces(const instance& problem);

/// Seconds to reduce the gradients of `stage` between `nodes`, for an instance that `reduces`:
/// reduce-scatter and all-gather, every node with every other at once, so two rounds, each as slow as
/// its slowest link with 1/r of the bytes.
double reduction_seconds(const instance& problem, stage_id stage,
                         const std::vector<node_id>& nodes);

/// Seconds that it takes at least between any `size` nodes.
double least_reduction_seconds(const instance& problem, stage_id stage, std::uint32_t size);

/// What `reduction_seconds` would be if every link were as fast as they are on average: tells a search
/// that one slow link less is better although another is still as slow.
double mean_reduction_seconds(const instance& problem, stage_id stage,
                              const std::vector<node_id>& nodes);

} // namespace skippipe::scheduler
