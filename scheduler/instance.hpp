// A planning problem: nodes, links, stages, rules and costs ("skippipe-instance/1").
#pragma once

#include "scheduler/ids.hpp"

#include <optional>
#include <string>
#include <vector>

namespace skippipe::scheduler {

/// Seconds of the three tasks of one microbatch.
struct task_costs {
  double forward_s = 0;
  double loss_s = 0;
  double backward_s = 0;
};

struct node_spec {
  std::string name;
  std::string location;
  double compute_s = 1;     ///< Seconds of one stage's forward of one microbatch.
  std::uint32_t memory = 1; ///< Microbatches it can hold in flight (R4).
};

/// Path limits (R2). `frontier` is the furthest stage a path has reached so far.
struct path_limits {
  std::uint32_t max_swaps = 2;
  std::uint32_t max_swap_distance = 1;
  std::uint32_t max_total_swap_distance = 2;
  std::uint32_t max_jump = 4;
  friend bool operator==(const path_limits&, const path_limits&) = default;
};

struct instance {
  std::string name;
  std::vector<node_spec> nodes;
  std::vector<double> link_s; ///< Row-major N x N: seconds to move one payload from a to b.
  std::uint32_t stages = 1;
  std::vector<std::uint32_t> stage_sizes;        ///< Empty: the planner chooses them ("free").
  std::vector<std::vector<node_id>> arrangement; ///< Empty: the planner chooses it.
  std::uint32_t path_length = 1;                 ///< Counts stage 0.
  std::uint32_t microbatches_per_origin = 1;
  std::uint32_t microbatches =
      0; ///< Of all origins, where they need not share them evenly; 0: evenly.
  path_limits limits;
  double backward_ratio = 1.5; ///< B as a multiple of F.
  double loss_ratio = 0.25;    ///< L as a multiple of F.

  // Optional; empty or 0 where absent.
  std::vector<double> stage_cost;               ///< Per stage, multiplies compute_s.
  std::vector<task_costs> node_stage_s;         ///< Row-major N x S, measured; overrides all else.
  std::vector<double> sync_bytes;               ///< Per stage, bytes of gradient reduction.
  std::vector<double> latency_s, bandwidth_Bps; ///< Row-major N x N, for gradient reduction.
  double commit_s = 0;                          ///< The commit's control round trip.
  /// Given routes (stages after the origin) per microbatch: deterministic mode plans only nodes
  /// and order (R12).
  std::vector<std::vector<stage_id>> routes;

  double link(node_id from, node_id to) const { return link_s[from * nodes.size() + to]; }
  /// Seconds of F, L and B when `node` serves `stage`.
  task_costs costs(node_id node, stage_id stage) const {
    if (!node_stage_s.empty())
      return node_stage_s[node * stages + stage];
    const double f = nodes[node].compute_s * (stage_cost.empty() ? 1.0 : stage_cost[stage]);
    return {f, f * loss_ratio, f * backward_ratio};
  }
};

} // namespace skippipe::scheduler
