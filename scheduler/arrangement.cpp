#include "scheduler/arrangement.hpp"

#include <algorithm>

namespace skippipe::scheduler {

std::vector<std::uint32_t> stage_sizes(const instance& problem) {
  if (!problem.stage_sizes.empty())
    return problem.stage_sizes;
  if (!problem.arrangement.empty()) {
    std::vector<std::uint32_t> sizes;
    for (const auto& nodes : problem.arrangement)
      sizes.push_back(static_cast<std::uint32_t>(nodes.size()));
    return sizes;
  }
  const double forward_and_backward = 1 + problem.backward_ratio;
  std::vector<double> weight(problem.stages, forward_and_backward);
  weight[0] += problem.loss_ratio;
  for (stage_id s = 0; s < problem.stages; ++s) {
    if (s > 0)
      weight[s] *= double(problem.path_length - 1) / double(problem.stages - 1);
    if (!problem.stage_cost.empty())
      weight[s] *= problem.stage_cost[s];
  }
  // One node each, then every further node where the load per node is highest.
  std::vector<std::uint32_t> sizes(problem.stages, 1);
  for (std::size_t given = problem.stages; given < problem.nodes.size(); ++given) {
    stage_id most = 0;
    for (stage_id s = 1; s < problem.stages; ++s)
      if (weight[s] / sizes[s] > weight[most] / sizes[most])
        most = s;
    ++sizes[most];
  }
  return sizes;
}

std::vector<std::vector<node_id>> simple_arrangement(const instance& problem) {
  if (!problem.arrangement.empty())
    return problem.arrangement;
  std::vector<std::vector<node_id>> result;
  node_id next = 0;
  for (std::uint32_t size : stage_sizes(problem)) {
    result.emplace_back();
    for (std::uint32_t i = 0; i < size; ++i)
      result.back().push_back(next++);
  }
  return result;
}

} // namespace skippipe::scheduler
