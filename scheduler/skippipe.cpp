#include "scheduler/arrangement.hpp"
#include "scheduler/arrangement_search.hpp"
#include "scheduler/bounds.hpp"
#include "scheduler/construct.hpp"
#include "scheduler/exact.hpp"
#include "scheduler/figures.hpp"
#include "scheduler/lanes.hpp"
#include "scheduler/reduction.hpp"
#include "scheduler/search.hpp"
#include "scheduler/strategies.hpp"

#include <chrono>

namespace skippipe::scheduler {

plan_result plan_skippipe(const instance& problem, const planner_options& options) {
  using clock = std::chrono::steady_clock;
  const auto begin = clock::now();
  const auto after = [&](double seconds) {
    return begin
           + std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(seconds));
  };
  random_source random(options.seed);
  const auto near = near_arrangement(problem);
  plan first = construct(problem, near, 8, random);
  search_limits limits;
  limits.deadline = after(options.time_limit_s);
  limits.seconds = options.time_limit_s;
  limits.max_iterations = options.max_iterations;
  // On large instances the bound costs more than stopping early could save.
  if (problem.nodes.size() <= 64)
    limits.lower_bound_s = lower_bound(problem).iteration_s - problem.commit_s;
  if (problem.nodes.size() <= 12
      && !reduces(problem)) { // Perhaps few enough choices to look through to the end.
    search_limits quick = limits;
    quick.max_iterations = 1000;
    first = search(problem, options.seed, !problem.arrangement.empty(), !problem.routes.empty())
                .improve(first, quick);
    exact_result looked = improve_exactly(problem, first, limits.deadline);
    if (looked.proven && !reduces(problem)) // It looks at makespans only.
      return std::move(looked.best);
    first = std::move(looked.best);
  }
  const unsigned threads = std::max(1U, options.threads);
  std::vector<plan> found(threads);
  // Where the arrangement is free, walks start in turn from one that the estimate likes and from the
  // near one: the estimate sees memory and speed, but not how well paths can share nodes.
  const auto walk = [&](unsigned i) {
    search walker(problem, options.seed * 1000 + i, !problem.arrangement.empty(),
                  !problem.routes.empty());
    if (i % 2 == 1 || !problem.arrangement.empty()) {
      found[i] = walker.improve(first, limits);
      return;
    }
    random_source own(options.seed * 1000 + i);
    const std::uint64_t steps = options.max_iterations > 0
                                    ? std::min<std::uint64_t>(options.max_iterations / 5, 20000)
                                    : 20000;
    const auto liked =
        improve_arrangement(problem, near, steps, after(0.05 * options.time_limit_s), own);
    found[i] = walker.improve(construct(problem, liked, 8, own), limits);
    if (predicted_seconds(problem, first) < predicted_seconds(problem, found[i]))
      found[i] = first;
  };
  const unsigned best =
      best_lane(threads, walk, [&](unsigned i) { return predicted_seconds(problem, found[i]); });
  return std::move(found[best]);
}

} // namespace skippipe::scheduler
