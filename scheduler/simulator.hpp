// Exact timing of a plan: a node runs its order one task at a time, each as early as it can.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/plan.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace skippipe::scheduler {

/// A path's tasks are steps 0..2k+2 for k hops: F at the origin, F at each hop, L, B at the hops in
/// reverse, B at the origin.
inline std::uint32_t step_count(const path& p) {
  return 2 * static_cast<std::uint32_t>(p.hops.size()) + 3;
}

/// Which kind of task `step` is.
inline task_kind step_kind(std::uint32_t hops, std::uint32_t step) {
  return step <= hops ? task_kind::forward
                      : (step == hops + 1 ? task_kind::loss : task_kind::backward);
}

/// The hop that `step` runs on: 0 is the origin, h the h-th hop.
inline std::uint32_t step_hop(std::uint32_t hops, std::uint32_t step) {
  return step <= hops ? step : (step == hops + 1 ? 0 : 2 * hops + 2 - step);
}

/// The node that runs `step` of `p`.
inline node_id step_node(const path& p, std::uint32_t step) {
  const std::uint32_t hop = step_hop(static_cast<std::uint32_t>(p.hops.size()), step);
  return hop == 0 ? p.origin : p.hops[hop - 1].node;
}

/// Seconds of `step` of `p`.
double step_seconds(const instance& problem, const path& p, std::uint32_t step);

/// What executing paths in an order gives. Times are filled only without violations.
struct simulation {
  std::vector<std::string> violations;
  double makespan_s = 0;
  std::vector<std::vector<double>> start, end; ///< [index in paths][step], seconds.
  std::vector<std::uint32_t> peak;             ///< Per node: most microbatches in flight.
  std::vector<double> busy_s;                  ///< Per node.
};

/// What to model beside tasks and links.
struct simulate_rules {
  /// Sends of one node leave one after the other, each holding its interface for the transfer
  /// (the link's seconds less its latency, where the instance gives that).
  bool contention = false;
};

/// Event-driven and exact; any paths and order may be given, problems come back as violations
/// (unknown ids, tasks missing or listed twice, too little memory (R4), deadlock).
simulation simulate(const instance& problem, const std::vector<path>& paths,
                    const std::vector<std::vector<planned_task>>& order,
                    const simulate_rules& rules = {});

} // namespace skippipe::scheduler
