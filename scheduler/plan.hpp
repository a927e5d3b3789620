// A plan: the path of every microbatch of one iteration and every node's task order.
#pragma once

#include "scheduler/ids.hpp"

#include <string>
#include <vector>

namespace skippipe::scheduler {

/// One visit of a path: which stage, and the node that serves it there.
struct hop {
  stage_id stage = 0;
  node_id node = 0;
  friend bool operator==(const hop&, const hop&) = default;
};

/// A microbatch's way from its origin through `hops` (visiting order, origin excluded) and back.
struct path {
  microbatch_id microbatch = 0;
  node_id origin = 0;
  std::vector<hop> hops;
  friend bool operator==(const path&, const path&) = default;
};

enum class task_kind : std::uint8_t { forward, loss, backward };

/// One task in a node's order. A microbatch visits a node at most once, so (microbatch, kind)
/// identifies the task on its node.
struct planned_task {
  microbatch_id microbatch = 0;
  task_kind kind = task_kind::forward;
  friend bool operator==(const planned_task&, const planned_task&) = default;
};

/// Paths plus order; what nodes execute, unchanged until the version changes.
struct plan {
  plan_version version = 0;
  std::string strategy;
  std::vector<std::vector<node_id>> arrangement; ///< Node ids per stage.
  std::vector<path> paths;                       ///< Sorted by microbatch id, 0..M-1.
  std::vector<std::vector<planned_task>> order;  ///< Per node id.
  double makespan_s = 0;                         ///< By the simulator, seconds.
};

} // namespace skippipe::scheduler
