// How long a microbatch takes at least from its origin and back, nothing waiting.
#pragma once

#include "scheduler/instance.hpp"

#include <vector>

namespace skippipe::scheduler {

/// Least rounds of an instance, the arrangement fixed or free. What it answers never exceeds the
/// round of any valid path; it is exact unless the search for it grows too long.
class shortest_round {
public:
  /// `problem` must outlive it.
  explicit shortest_round(const instance& problem);

  bool may_be_origin(node_id n) const { return stage_[n] == free_stage || stage_[n] == 0; }
  bool may_serve(node_id n) const { return stage_[n] != 0; }

  /// Least F and B seconds of `n` in any stage but 0 that it may serve.
  const task_costs& own(node_id n) const { return own_[n]; }

  /// Seconds from the start of F at origin `o` to the end of its B.
  double operator()(node_id o) const;

  /// No more than that, found sooner: walks that may repeat nodes and stages.
  double at_least(node_id o) const;

private:
  static constexpr stage_id free_stage = ~stage_id{0};

  double both(node_id a, node_id b) const { return problem_.link(a, b) + problem_.link(b, a); }
  double work(node_id n) const { return own_[n].forward_s + own_[n].backward_s; }
  bool follows(stage_id last, stage_id s) const;
  double stride(node_id n, node_id next) const;
  std::vector<std::vector<double>> ways_back(node_id o) const;
  double search(node_id o, const std::vector<std::vector<double>>& rest) const;

  const instance& problem_;
  std::vector<stage_id> stage_;
  std::vector<task_costs> own_;
  std::vector<double> strides_; ///< Row-major, where there are few enough nodes.
  std::vector<std::vector<double>>
      open_; ///< [hops][node], where there are too many nodes for more.
};

} // namespace skippipe::scheduler
