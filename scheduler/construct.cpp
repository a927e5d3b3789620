#include "scheduler/construct.hpp"

#include "scheduler/check.hpp"
#include "scheduler/dispatch.hpp"
#include "scheduler/path_rules.hpp"
#include "scheduler/spread.hpp"
#include "scheduler/strategies.hpp"
#include "scheduler/timetable.hpp"

#include <algorithm>

namespace skippipe::scheduler {

namespace {

plan insert_all(const instance& problem, const std::vector<std::vector<node_id>>& arrangement,
                std::vector<route> routes, std::uint32_t choices, random_source& random) {
  const auto count = static_cast<std::uint32_t>(routes.size());
  const bool given = !problem.routes.empty();
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

/// The best of several pressures; nothing when all of them lock up.
std::optional<plan> run_on_the_clock(const instance& problem,
                                     const std::vector<std::vector<node_id>>& arrangement,
                                     std::vector<route> routes) {
  if (problem.routes.empty())
    for (route& r : routes)
      std::sort(r.begin(), r.end()); // Then nothing can lock up.
  std::optional<plan> best;
  for (const double pressure : {0.1, 0.2, 0.4, 1.0}) {
    auto paths = spread_paths(problem, arrangement, routes, pressure);
    auto run = dispatch(problem, paths);
    if (run && (!best || run->makespan_s < best->makespan_s))
      best = plan{
          0, "skippipe", arrangement, std::move(paths), std::move(run->order), run->makespan_s};
  }
  return best;
}

} // namespace

plan construct(const instance& problem, const std::vector<std::vector<node_id>>& arrangement,
               std::uint32_t choices, random_source& random) {
  const auto count = microbatch_count(problem, static_cast<std::uint32_t>(arrangement[0].size()));
  const std::vector<route> routes =
      problem.routes.empty() ? *balanced_routes(rules_of(problem), count, random) : problem.routes;
  plan inserted = insert_all(problem, arrangement, routes, choices, random);
  if (auto run = run_on_the_clock(problem, arrangement, routes);
      run && run->makespan_s < inserted.makespan_s)
    return std::move(*run);
  return inserted;
}

} // namespace skippipe::scheduler
