#include "scheduler/survivors.hpp"

#include "scheduler/replan.hpp"

#include <algorithm>
#include <utility>

namespace skippipe::scheduler {

survivors without_nodes(const instance& problem, const plan& running,
                        const std::set<node_id>& gone) {
  survivors left;
  auto& small = left.problem;
  small = problem;
  small.nodes.clear();
  small.link_s.clear();
  small.node_stage_s.clear();
  small.latency_s.clear();
  small.bandwidth_Bps.clear();
  const auto n = problem.nodes.size();
  auto& new_id = left.new_id;
  new_id.assign(n, replan_request::gone);
  for (node_id node = 0; node < n; ++node) {
    if (gone.contains(node))
      continue;
    new_id[node] = static_cast<node_id>(left.old_id.size());
    left.old_id.push_back(node);
    small.nodes.push_back(problem.nodes[node]);
    if (!problem.node_stage_s.empty())
      for (stage_id stage = 0; stage < problem.stages; ++stage)
        small.node_stage_s.push_back(problem.node_stage_s[node * problem.stages + stage]);
  }
  const auto shrink = [&](const std::vector<double>& from, std::vector<double>& to) {
    if (!from.empty())
      for (auto a : left.old_id)
        for (auto b : left.old_id)
          to.push_back(from[a * n + b]);
  };
  shrink(problem.link_s, small.link_s);
  shrink(problem.latency_s, small.latency_s);
  shrink(problem.bandwidth_Bps, small.bandwidth_Bps);

  small.arrangement.clear();
  small.stage_sizes.clear();
  for (const auto& nodes : running.arrangement) {
    auto& stage = small.arrangement.emplace_back();
    for (auto node : nodes)
      if (!gone.contains(node))
        stage.push_back(new_id[node]);
    small.stage_sizes.push_back(static_cast<std::uint32_t>(stage.size()));
  }
  small.routes.clear();
  std::size_t longest = 0;
  for (const auto& path : running.paths) {
    auto& route = small.routes.emplace_back();
    for (const auto& hop : path.hops)
      route.push_back(hop.stage);
    longest = std::max(longest, route.size());
  }
  small.path_length = static_cast<std::uint32_t>(longest + 1);
  return left;
}

plan in_old_ids(const survivors& left, const plan& small, std::size_t nodes) {
  plan result = small;
  for (auto& stage : result.arrangement)
    for (auto& node : stage)
      node = left.old_id[node];
  for (auto& path : result.paths) {
    path.origin = left.old_id[path.origin];
    for (auto& hop : path.hops)
      hop.node = left.old_id[hop.node];
  }
  result.order.assign(nodes, {});
  for (node_id node = 0; node < small.order.size(); ++node)
    result.order[left.old_id[node]] = small.order[node];
  return result;
}

plan_result plan_again(const instance& problem, const plan& running, const std::set<node_id>& gone,
                       const planner_options& options) {
  auto left = without_nodes(problem, running, gone);
  const bool full = options.kind == strategy::full;
  if (problem.routes.empty() && !full) {
    instance any_routes = left.problem;
    any_routes.routes.clear();
    any_routes.path_length = problem.path_length;
    any_routes.microbatches = static_cast<std::uint32_t>(running.paths.size());
    if (!find_obstacle(any_routes, strategy::skippipe))
      left.problem = std::move(any_routes);
  }
  plan_result made;
  if (full || options.kind == strategy::skippipe) {
    replan_report report;
    made = replan(left.problem, {&running, left.new_id, {}}, options, report);
  } else {
    made = make_plan(left.problem, options);
  }
  if (const plan* small = std::get_if<plan>(&made)) {
    plan result = in_old_ids(left, *small, problem.nodes.size());
    result.strategy = running.strategy;
    return result;
  }
  return made;
}

} // namespace skippipe::scheduler
