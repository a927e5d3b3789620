#include "scheduler/arrangement.hpp"

#include "scheduler/bounds.hpp"
#include "scheduler/check.hpp"

#include <algorithm>
#include <limits>

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

std::vector<std::vector<node_id>> near_arrangement(const instance& problem) {
  if (!problem.arrangement.empty())
    return problem.arrangement;
  const auto sizes = stage_sizes(problem);
  const auto count = static_cast<node_id>(problem.nodes.size());
  // A tour that always goes on to the nearest node left: neighbours on it are near each other.
  std::vector<node_id> tour;
  std::vector<bool> used(count, false);
  node_id here = 0;
  while (true) {
    tour.push_back(here);
    used[here] = true;
    node_id nearest = count;
    double least = std::numeric_limits<double>::infinity();
    for (node_id n = 0; n < count; ++n) {
      const double way = problem.link(here, n) + problem.link(n, here);
      if (!used[n] && way < least) {
        least = way;
        nearest = n;
      }
    }
    if (nearest == count)
      break;
    here = nearest;
  }
  // Along the tour every stretch as long as there are nodes per origin gives its quickest one with
  // the most memory as an origin; the others are dealt to the stages in turn.
  std::vector<std::vector<node_id>> result(problem.stages);
  std::fill(used.begin(), used.end(), false);
  double work = 0, near = 0;
  for (std::size_t i = 0; i < tour.size(); ++i) {
    const task_costs c = problem.costs(tour[i], problem.stages > 1 ? 1 : 0);
    work += (c.forward_s + c.backward_s) / double(count);
    near += 2 * problem.link(tour[i], tour[(i + 1) % tour.size()]) / double(count);
  }
  const double away = (problem.path_length - 1) * work + problem.path_length * near;
  const std::uint32_t share = (microbatch_count(problem, sizes[0]) + sizes[0] - 1) / sizes[0];
  const auto dearness = [&](node_id n) {
    const task_costs c = problem.costs(n, 0);
    return origin_slots_bound(share, problem.nodes[n].memory, c,
                              away + c.forward_s + c.loss_s + c.backward_s);
  };
  for (std::uint32_t o = 0; o < sizes[0]; ++o) {
    const std::size_t from = tour.size() * o / sizes[0], to = tour.size() * (o + 1) / sizes[0];
    node_id best = tour[from];
    for (std::size_t i = from; i < to; ++i)
      if (dearness(tour[i]) < dearness(best))
        best = tour[i];
    result[0].push_back(best);
    used[best] = true;
  }
  std::vector<double> given(problem.stages, 0);
  for (const node_id n : tour) {
    if (used[n])
      continue;
    stage_id emptiest = 0;
    for (stage_id s = 1; s < problem.stages; ++s) {
      if (result[s].size() >= sizes[s])
        continue;
      if (emptiest == 0 || given[s] / sizes[s] < given[emptiest] / sizes[emptiest])
        emptiest = s;
    }
    result[emptiest].push_back(n);
    given[emptiest] += 1 / problem.costs(n, emptiest).forward_s;
  }
  return result;
}

} // namespace skippipe::scheduler
