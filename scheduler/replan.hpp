// A new plan from a running one after nodes or links changed.
#pragma once

#include "scheduler/planner.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace skippipe::scheduler {

/// What is running, and what of it still stands.
struct replan_request {
  const plan* running = nullptr;
  /// Per node of the running plan: its id in the new instance, or `gone`.
  std::vector<node_id> new_id;
  /// Microbatches that have started and keep their paths, unless a node on them is gone.
  std::vector<microbatch_id> in_flight;

  static constexpr node_id gone = ~node_id{0};
  /// The new id of a node of the running plan, where `nodes` of them are left.
  node_id now(node_id old, std::size_t nodes) const {
    return old < new_id.size() && new_id[old] < nodes ? new_id[old] : gone;
  }
};

/// A node moves only where that shortens the iteration by this share at least: it has to fetch its new
/// stage first.
inline constexpr double price_of_a_move = 0.015;

struct replan_report {
  std::vector<node_id> moved_nodes;      ///< New ids of nodes that now serve another stage.
  std::vector<microbatch_id> kept_paths; ///< Ids (in the new plan) whose path did not change.
  std::vector<microbatch_id>
      lost; ///< In flight, but not kept: a node of theirs is gone, or no valid
            ///< plan keeps them (old ids).
};

/// A valid plan of `problem` that keeps stages and paths of the running one where it can. Nodes move where
/// the new instance's arrangement or stage sizes demand it, and, where the arrangement is free, the few
/// whose move is worth more than it costs. Takes `options.time_limit_s`, paths in flight left alone.
/// Infeasible also when the microbatches in flight already exceed a node's memory (R4).
plan_result replan(const instance& problem, const replan_request& request,
                   const planner_options& options, replan_report& report);

} // namespace skippipe::scheduler
