#include "scheduler/arrangement.hpp"
#include "scheduler/check.hpp"
#include "scheduler/path_rules.hpp"
#include "scheduler/strategies.hpp"

namespace skippipe::scheduler {

// Paper, the DT-FM baseline: every microbatch runs all stages in order. Arrangement, pairing and order are
// searched as the default strategy searches them, so that what it gains is gained by its paths.
plan plan_full(const instance& problem, const planner_options& options) {
  instance sequential = problem;
  sequential.path_length = problem.stages;
  sequential.stage_sizes = stage_sizes(problem); // As many origins, so as many microbatches.
  sequential.routes.assign(microbatch_count(problem, sequential.stage_sizes[0]),
                           full_route(problem.stages));
  plan best = std::get<plan>(plan_skippipe(sequential, options));
  best.strategy = "full";
  return best;
}

} // namespace skippipe::scheduler
