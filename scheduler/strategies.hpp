// One function per strategy, one file each; make_plan checks the instance and dispatches.
#pragma once

#include "scheduler/planner.hpp"

#include <vector>

namespace skippipe::scheduler {

/// Sequential pipelines: all stages in order (paper, the DT-FM baseline).
plan plan_full(const instance& problem, const planner_options& options);

/// Random feasible routes and nodes, both balanced (paper, DT-FM with skips).
plan_result plan_random(const instance& problem, const planner_options& options);

/// Every microbatch on its best path, collisions not regarded.
plan plan_no_collision(const instance& problem, const planner_options& options);

/// Conflict-based search for paths that do not collide.
plan plan_cbs(const instance& problem, const planner_options& options);

/// The default: anytime search over arrangement, paths and order on the exact simulator.
plan_result plan_skippipe(const instance& problem, const planner_options& options);

/// Origins of microbatches 0..M-1: in turn, so that each sends its share.
std::vector<node_id> origins_in_turn(const std::vector<node_id>& origins, std::uint32_t count);

/// A plan from paths and per-node order: simulated, with its makespan. The order must be valid.
plan finish_plan(const instance& problem, const std::string& strategy,
                 std::vector<std::vector<node_id>> arrangement, std::vector<path> paths,
                 std::vector<std::vector<planned_task>> order);

} // namespace skippipe::scheduler
