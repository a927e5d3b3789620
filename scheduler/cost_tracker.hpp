// What nodes and links cost, as measured, and the planning problem with these costs in it.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/steady_average.hpp"

#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace skippipe::scheduler {

/// One direction of a link; 0: not measured.
struct link_figures {
  double latency_s = 0;
  double bandwidth_Bps = 0;
  friend bool operator==(const link_figures&, const link_figures&) = default;
};

/// What is to be run, as far as costs that were not measured are derived from others that were.
struct workload {
  std::vector<double> stage_weight; ///< Per stage, in proportion to F and B: its layers.
  double payload_bytes = 0;         ///< Of an activation on a link.
  std::vector<double> sync_bytes;   ///< Per stage, of its gradients; may be empty.
};

/// Moving averages. A node has the costs of one stage at a time, the one that it serves.
class cost_tracker {
public:
  /// Seconds of one task each, the mean over an iteration; 0: it ran none of them.
  void add_tasks(node_id node, stage_id stage, const task_costs& seconds);
  /// Zeros change nothing.
  void add_link(node_id from, node_id to, const link_figures& seen);
  void forget(node_id node); ///< Its place may be taken by another.

  std::optional<task_costs> tasks(node_id node) const;
  std::optional<link_figures> link(node_id from, node_id to) const;
  bool knows_tasks() const { return !tasks_.empty(); }
  bool knows_links() const { return !links_.empty(); }

  /// `nominal` with node_stage_s from what is measured of any stage, link_s, latency_s and bandwidth_Bps from
  /// what is measured of any link. What was not measured is derived: a node's other stages in proportion to
  /// their weight, another node from the median one, a link from those between the same locations, else
  /// from what else is known of its two ends. Without any measurement of a kind nothing of it changes.
  instance applied_to(const instance& nominal, const workload& work) const;

private:
  struct task_record {
    stage_id stage = 0;
    steady_average forward, loss, backward;
  };
  struct link_record {
    steady_average latency, bandwidth{steady_average::kind::rate};
  };

  void fill_tasks(instance& out, const workload& work) const;
  void fill_links(instance& out, const workload& work) const;

  std::map<node_id, task_record> tasks_;
  std::map<std::pair<node_id, node_id>, link_record> links_; ///< From, to.
};

} // namespace skippipe::scheduler
