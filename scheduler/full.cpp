#include "scheduler/arrangement.hpp"
#include "scheduler/check.hpp"
#include "scheduler/path_rules.hpp"
#include "scheduler/strategies.hpp"
#include "scheduler/timetable.hpp"

namespace skippipe::scheduler {

plan plan_full(const instance& problem, const planner_options&) {
  auto arrangement = simple_arrangement(problem);
  const auto count = microbatch_count(problem, static_cast<std::uint32_t>(arrangement[0].size()));
  const auto origins = origins_in_turn(arrangement[0], count);
  const route all = full_route(problem.stages);
  timetable table(problem);
  std::vector<path> paths;
  for (microbatch_id mb = 0; mb < count; ++mb) {
    path p = table.choose_nodes(mb, origins[mb], all, arrangement);
    table.insert(p, table.fit(p));
    paths.push_back(std::move(p));
  }
  return finish_plan(problem, "full", std::move(arrangement), std::move(paths), table.order());
}

} // namespace skippipe::scheduler
