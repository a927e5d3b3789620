#include "scheduler/construct.hpp"

#include "scheduler/check.hpp"
#include "scheduler/path_rules.hpp"
#include "scheduler/strategies.hpp"
#include "scheduler/timetable.hpp"

#include <algorithm>

namespace skippipe::scheduler {

plan construct(const instance& problem, const std::vector<std::vector<node_id>>& arrangement,
               std::uint32_t choices, random_source& random) {
  const auto count = microbatch_count(problem, static_cast<std::uint32_t>(arrangement[0].size()));
  const bool given = !problem.routes.empty();
  std::vector<route> routes =
      given ? problem.routes : *balanced_routes(rules_of(problem), count, random);
  const auto origins = origins_in_turn(arrangement[0], count);
  timetable table(problem);
  std::vector<path> paths;
  for (microbatch_id mb = 0; mb < count; ++mb) {
    const std::uint32_t left = count - mb;
    path best;
    placement best_times;
    std::uint32_t chosen = mb;
    for (std::uint32_t i = 0; i < (given ? 1 : std::min(choices, left)); ++i) {
      const std::uint32_t pick = given ? mb : mb + random.below(left);
      path p = table.choose_nodes(mb, origins[mb], routes[pick], arrangement);
      placement times = table.fit(p);
      if (i == 0 || times.finish() < best_times.finish()) {
        best = std::move(p);
        best_times = std::move(times);
        chosen = pick;
      }
    }
    std::swap(routes[mb], routes[chosen]);
    table.insert(best, best_times);
    paths.push_back(std::move(best));
  }
  return finish_plan(problem, "skippipe", arrangement, std::move(paths), table.order());
}

} // namespace skippipe::scheduler
