#include "scheduler/arrangement.hpp"
#include "scheduler/check.hpp"
#include "scheduler/construct.hpp"
#include "scheduler/path_rules.hpp"
#include "scheduler/search.hpp"
#include "scheduler/strategies.hpp"

namespace skippipe::scheduler {

// Paper, the DT-FM baseline: every microbatch runs all stages in order. Pairing and order are
// searched with the same moves as the default strategy, so that the comparison with it is fair.
plan plan_full(const instance& problem, const planner_options& options) {
  instance sequential = problem;
  sequential.arrangement = near_arrangement(problem);
  sequential.path_length = problem.stages;
  const auto count =
      microbatch_count(problem, static_cast<std::uint32_t>(sequential.arrangement[0].size()));
  sequential.routes.assign(count, full_route(problem.stages));
  random_source random(options.seed);
  const plan first = construct(sequential, sequential.arrangement, 1, random);
  search_limits limits;
  limits.max_iterations = options.max_iterations > 0  ? options.max_iterations
                          : problem.nodes.size() > 40 ? 0
                                                      : 30000;
  limits.seconds = options.time_limit_s;
  limits.deadline = std::chrono::steady_clock::now()
                    + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                        std::chrono::duration<double>(options.time_limit_s));
  plan best = search(sequential, options.seed, true, true).improve(first, limits);
  best.strategy = "full";
  return best;
}

} // namespace skippipe::scheduler
