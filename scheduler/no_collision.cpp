#include "scheduler/arrangement.hpp"
#include "scheduler/check.hpp"
#include "scheduler/path_rules.hpp"
#include "scheduler/shortest.hpp"
#include "scheduler/strategies.hpp"
#include "scheduler/timetable.hpp"

#include <algorithm>

namespace skippipe::scheduler {

// Paper, the variant without TC2: every microbatch takes its best path as if it were alone; what
// then meets on a node waits. Balance and memory hold all the same.
plan plan_no_collision(const instance& problem, const planner_options& options) {
  auto arrangement = near_arrangement(problem);
  const auto count = microbatch_count(problem, static_cast<std::uint32_t>(arrangement[0].size()));
  random_source random(options.seed);
  const auto routes =
      problem.routes.empty() ? *balanced_routes(rules_of(problem), count, random) : problem.routes;
  const auto origins = origins_in_turn(arrangement[0], count);
  timetable table(problem);
  std::vector<path> paths;
  for (microbatch_id mb = 0; mb < count; ++mb) {
    path p{mb, origins[mb], shortest_nodes(problem, arrangement, origins[mb], routes[mb])};
    table.insert(p, table.fit(p));
    paths.push_back(std::move(p));
  }
  return finish_plan(problem, "no-collision", std::move(arrangement), std::move(paths),
                     table.order());
}

} // namespace skippipe::scheduler
