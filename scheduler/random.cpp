#include "scheduler/arrangement.hpp"
#include "scheduler/check.hpp"
#include "scheduler/dispatch.hpp"
#include "scheduler/path_rules.hpp"
#include "scheduler/simulator.hpp"
#include "scheduler/strategies.hpp"
#include "scheduler/timetable.hpp"

namespace skippipe::scheduler {

namespace {

/// Deals nodes of a stage in shuffled rounds, so that visits per node differ by at most one.
class node_dealer {
public:
  node_dealer(std::vector<std::vector<node_id>> arrangement, random_source& random)
      : nodes_(std::move(arrangement)), at_(nodes_.size(), 0), random_(random) {}

  node_id draw(stage_id s) {
    if (at_[s] == 0)
      random_.shuffle(nodes_[s]);
    const node_id n = nodes_[s][at_[s]];
    at_[s] = (at_[s] + 1) % nodes_[s].size();
    return n;
  }

private:
  std::vector<std::vector<node_id>> nodes_;
  std::vector<std::size_t> at_;
  random_source& random_;
};

} // namespace

plan_result plan_random(const instance& problem, const planner_options& options) {
  auto arrangement = simple_arrangement(problem);
  const auto count = microbatch_count(problem, static_cast<std::uint32_t>(arrangement[0].size()));
  random_source random(options.seed);
  std::vector<route> routes = problem.routes;
  if (routes.empty()) {
    if (const auto conflict = route_infeasibility(rules_of(problem), count))
      return infeasible{conflict->reason, conflict->nearest, conflict->mend};
    routes = *balanced_routes(rules_of(problem), count, random);
  }
  const auto origins = origins_in_turn(arrangement[0], count);
  node_dealer dealer(arrangement, random);
  timetable table(problem);
  std::vector<path> paths;
  for (microbatch_id mb = 0; mb < count; ++mb) {
    path p{mb, origins[mb], {}};
    for (stage_id s : routes[mb])
      p.hops.push_back({s, dealer.draw(s)});
    table.insert(p, table.fit(p));
    paths.push_back(std::move(p));
  }
  plan best =
      finish_plan(problem, "random", std::move(arrangement), std::move(paths), table.order());
  // Nodes that take what is ready are mostly quicker than that, unless they lock up; then fewer begin.
  for (std::size_t most = count; most > 0; most -= (most + 3) / 4)
    if (auto run = dispatch(problem, best.paths, most)) {
      const double makespan_s = simulate(problem, best.paths, run->order).makespan_s;
      if (makespan_s >= best.makespan_s)
        continue;
      best.order = std::move(run->order);
      best.makespan_s = makespan_s;
    }
  return best;
}

} // namespace skippipe::scheduler
