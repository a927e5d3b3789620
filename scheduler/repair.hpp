// Mends a running plan's order after its nodes changed.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/plan.hpp"

#include <chrono>
#include <cstdint>
#include <vector>

namespace skippipe::scheduler {

/// Seconds at which every step of the running plan's paths starts in the new instance, nodes that
/// are gone played by stand-ins as able as the rest of their stage. `new_id` as in replan_request.
/// [index in running.paths][step]; empty where the running plan does not fit the new instance.
std::vector<std::vector<double>> running_times(const instance& problem, const plan& running,
                                               const std::vector<node_id>& new_id);

/// `valid` with its tasks in the order of the times they `wanted` ([microbatch][step], growing along
/// each path), the microbatches marked `open` on whichever nodes of their stages then do best.
/// Tries until the deadline; never worse than `valid`.
plan keep_order(const instance& problem, const plan& valid,
                const std::vector<std::vector<double>>& wanted,
                const std::vector<std::uint8_t>& open,
                std::chrono::steady_clock::time_point deadline);

} // namespace skippipe::scheduler
