// How good an arrangement is, without planning paths: a fluid estimate of the makespan.
#pragma once

#include "scheduler/instance.hpp"

#include <cstdint>
#include <vector>

namespace skippipe::scheduler {

/// Estimates how long an iteration takes when the nodes serve the given stages.
///
/// Microbatches are spread over a stage's nodes by how near and how able each is. From the last
/// stage back to the first this gives, per node, how long it holds a microbatch (its slot, R4), and
/// so its rate: work bounds it, and slots over holding time. A stage has to serve its visits at the
/// sum of its nodes' rates; an origin its microbatches in as many rounds as its slots ask for. A stage
/// reduces its gradients after its last visit.
class arrangement_estimate {
public:
  /// `problem` must outlive it.
  explicit arrangement_estimate(const instance& problem);

  /// Seconds. `arrangement` must have a node in every stage. Not thread-safe.
  double operator()(const std::vector<std::vector<node_id>>& arrangement);

private:
  struct ability {
    double hold; ///< Seconds a microbatch keeps a slot.
    double rate; ///< Microbatches per second.
  };

  double onward(node_id n, stage_id s, const std::vector<std::vector<node_id>>& arrangement);

  const instance& problem_;
  std::vector<double> round_trip_; ///< link(a, b) + link(b, a), row-major.
  std::vector<ability> able_;      ///< Per node.
  std::vector<double> cost_;       ///< Scratch.
  bool reduces_;                   ///< Gradients, within stages.
  double skip_ = 0;                ///< Chance that a path leaves the next stage out.
  double softness_ = 1;            ///< Seconds by which a choice may cost more.
};

} // namespace skippipe::scheduler
