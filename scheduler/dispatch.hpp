// Orders the tasks of given paths by list scheduling: quick, and good where memory is scarce.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/plan.hpp"

#include <cstddef>
#include <limits>
#include <optional>
#include <vector>

namespace skippipe::scheduler {

/// Every node's order and when the last task ends.
struct dispatched {
  std::vector<std::vector<planned_task>> order;
  double makespan_s = 0;
};

/// Runs the paths on the clock: a free node starts losses and backwards before forwards, and what
/// is first in `paths` before the rest; a forward needs a free slot. Nothing when that locks up
/// (microbatches that hold slots wait for each other's), which cannot happen while every path
/// visits its stages in ascending order. At most `most_in_flight` paths run at once; each that ends
/// lets the next one begin. O(tasks log tasks). Throws nothing of its own.
std::optional<dispatched>
dispatch(const instance& problem, const std::vector<path>& paths,
         std::size_t most_in_flight = std::numeric_limits<std::size_t>::max());

} // namespace skippipe::scheduler
