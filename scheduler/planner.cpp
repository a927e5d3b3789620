#include "scheduler/planner.hpp"

#include "scheduler/arrangement.hpp"
#include "scheduler/bounds.hpp"
#include "scheduler/check.hpp"
#include "scheduler/figures.hpp"
#include "scheduler/path_rules.hpp"
#include "scheduler/simulator.hpp"
#include "scheduler/strategies.hpp"

#include <algorithm>

namespace skippipe::scheduler {

std::optional<infeasible> find_obstacle(const instance& problem, strategy kind) {
  if (const auto problems = check_numbers(problem); !problems.empty())
    return infeasible{problems.front(), "correct the instance"};
  if (const auto shortages = check_resources(problem); !shortages.empty())
    return shortages.front();
  if (kind == strategy::full) {
    if (problem.stages > 1 && problem.limits.max_jump == 0)
      return infeasible{"max_jump is 0, so no path leaves stage 0", "max_jump = 1",
                        [](instance& x) { x.limits.max_jump = 1; }};
    return std::nullopt;
  }
  const std::uint32_t origins = stage_sizes(problem)[0];
  const std::uint32_t count = microbatch_count(problem, origins);
  if (!problem.routes.empty()) {
    if (problem.stages == 1)
      return std::nullopt;
    std::vector<std::uint32_t> visits(problem.stages, 0);
    for (const auto& r : problem.routes)
      for (stage_id s : r)
        ++visits[s];
    const auto [least, most] = std::minmax_element(visits.begin() + 1, visits.end());
    if (*most - *least > 1)
      return infeasible{"the given routes visit stages between " + std::to_string(*least) + " and "
                            + std::to_string(*most) + " times",
                        "routes whose visits of stages 1.. differ by at most one"};
    return std::nullopt;
  }
  if (const auto conflict = route_infeasibility(rules_of(problem), count))
    return infeasible{conflict->reason, conflict->nearest, conflict->mend};
  return std::nullopt;
}

double worthwhile_seconds(const instance& problem, double time_scale) {
  constexpr double least = 1, most = 10; // Who stops a job does not wait longer than that.
  if (find_obstacle(problem, strategy::skippipe))
    return least;
  return std::clamp(lower_bound(problem).iteration_s / time_scale, least, most);
}

double hurried_seconds(const instance& problem, const plan& running, double time_scale) {
  constexpr double share = 0.02, per_node = 0.001, most = 1;
  const double least = std::clamp(per_node * double(problem.nodes.size()), 0.02, most);
  return std::clamp(share * predicted_seconds(problem, running) / time_scale, least, most);
}

std::optional<infeasible> find_obstacle(const instance& problem, std::span<const strategy> kinds) {
  const auto of_any = [&](const instance& x) -> std::optional<infeasible> {
    for (const strategy kind : kinds)
      if (auto why = find_obstacle(x, kind))
        return why;
    return std::nullopt;
  };
  auto first = of_any(problem);
  if (!first)
    return std::nullopt;
  // What mends it may leave, or make, another one: so until there is none.
  instance changed = problem;
  std::vector<std::string> settings;
  constexpr std::size_t most_settings = 8;
  for (auto why = first; why && settings.size() < most_settings; why = of_any(changed)) {
    const auto key = why->nearest.substr(0, why->nearest.find('=') + 1);
    std::erase_if(settings,
                  [&](const std::string& s) { return !key.empty() && s.starts_with(key); });
    settings.push_back(why->nearest);
    if (!why->mend)
      break;
    why->mend(changed);
  }
  first->nearest.clear();
  for (const auto& setting : settings)
    first->nearest += (first->nearest.empty() ? "" : ", ") + setting;
  first->mend = [changed](instance& x) { x = changed; };
  return first;
}

std::vector<node_id> origins_in_turn(const std::vector<node_id>& origins, std::uint32_t count) {
  std::vector<node_id> result(count);
  for (std::uint32_t i = 0; i < count; ++i)
    result[i] = origins[i % origins.size()];
  return result;
}

plan finish_plan(const instance& problem, const std::string& strategy,
                 std::vector<std::vector<node_id>> arrangement, std::vector<path> paths,
                 std::vector<std::vector<planned_task>> order) {
  plan result;
  result.strategy = strategy;
  result.arrangement = std::move(arrangement);
  result.paths = std::move(paths);
  result.order = std::move(order);
  result.makespan_s = simulate(problem, result.paths, result.order).makespan_s;
  return result;
}

plan_result make_plan(const instance& problem, const planner_options& options) {
  if (auto why = find_obstacle(problem, options.kind))
    return *why;
  switch (options.kind) {
    case strategy::full:
      return plan_full(problem, options);
    case strategy::random:
      return plan_random(problem, options);
    case strategy::no_collision:
      return plan_no_collision(problem, options);
    case strategy::cbs:
      return plan_cbs(problem, options);
    case strategy::skippipe:
      break;
  }
  return plan_skippipe(problem, options);
}

} // namespace skippipe::scheduler
