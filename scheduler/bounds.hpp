// Lower bounds: no valid plan of an instance is quicker.
#pragma once

#include "scheduler/instance.hpp"

#include <cstdint>

namespace skippipe::scheduler {

/// Seconds; each holds for every valid plan of the instance's path length.
struct lower_bounds {
  double origin_slots_s = 0; ///< Slots and work of an origin, its microbatches on shortest paths.
  double stage_work_s = 0;   ///< Work and occupied slots of the nodes of a stage.
  /// Of whole iterations: with reductions, which follow each stage's last backward, and the commit.
  double iteration_s = 0;
  double best() const { return origin_slots_s > stage_work_s ? origin_slots_s : stage_work_s; }
};

lower_bounds lower_bound(const instance& problem);

/// An origin with `memory` slots sends `count` microbatches, each taking at least `round_s` from
/// the start of its F to the end of its B: when the last one can be done, at best.
double origin_slots_bound(std::uint32_t count, std::uint32_t memory, const task_costs& own,
                          double round_s);

} // namespace skippipe::scheduler
