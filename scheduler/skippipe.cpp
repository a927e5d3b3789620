#include "scheduler/arrangement.hpp"
#include "scheduler/bounds.hpp"
#include "scheduler/construct.hpp"
#include "scheduler/exact.hpp"
#include "scheduler/search.hpp"
#include "scheduler/strategies.hpp"

#include <chrono>
#include <thread>

namespace skippipe::scheduler {

plan_result plan_skippipe(const instance& problem, const planner_options& options) {
  const auto begin = std::chrono::steady_clock::now();
  random_source random(options.seed);
  const auto near = near_arrangement(problem);
  plan first = construct(problem, near, 8, random);
  search_limits limits;
  limits.deadline = begin
                    + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                        std::chrono::duration<double>(options.time_limit_s));
  limits.seconds = options.time_limit_s;
  limits.max_iterations = options.max_iterations;
  // On large instances the bound costs more than stopping early could save.
  if (problem.nodes.size() <= 64)
    limits.lower_bound_s = lower_bound(problem).best();
  if (problem.nodes.size() <= 12) { // Perhaps few enough choices to look through to the end.
    search_limits quick = limits;
    quick.max_iterations = 1000;
    first = search(problem, options.seed, !problem.arrangement.empty(), !problem.routes.empty())
                .improve(first, quick);
    exact_result looked = improve_exactly(problem, first, limits.deadline);
    if (looked.proven)
      return std::move(looked.best);
    first = std::move(looked.best);
  }
  const unsigned threads = std::max(1U, options.threads);
  std::vector<plan> found(threads);
  const auto walk = [&](unsigned i) {
    search walker(problem, options.seed * 1000 + i, !problem.arrangement.empty(),
                  !problem.routes.empty());
    found[i] = walker.improve(first, limits);
  };
  std::vector<std::thread> helpers;
  for (unsigned i = 1; i < threads; ++i)
    helpers.emplace_back(walk, i);
  walk(0);
  for (std::thread& t : helpers)
    t.join();
  unsigned best = 0;
  for (unsigned i = 1; i < threads; ++i)
    if (found[i].makespan_s < found[best].makespan_s)
      best = i;
  return std::move(found[best]);
}

} // namespace skippipe::scheduler
