// Links that nobody has measured, from those that somebody has.
#pragma once

#include "scheduler/cost_tracker.hpp"

#include <vector>

namespace skippipe::scheduler {

/// Fills in the zeros of `links` (row-major, from x to). In this order: the other direction, the median of the
/// links between the same two locations, and what the two ends have in common: the larger of their median
/// latencies, the smaller of their median bandwidths. A node's link to itself is as fast as the fastest.
void complete_links(const std::vector<node_spec>& nodes, std::vector<link_figures>& links);

} // namespace skippipe::scheduler
