#include "actors/plan_times.hpp"

namespace skippipe::actors {

plan_times times_of(const scheduler::instance& problem, const scheduler::plan& plan,
                    double time_scale) {
  auto times = trace::times_of(plan, scheduler::simulate(problem, plan.paths, plan.order));
  for (auto& node : times)
    for (auto& task : node) {
      task.start_s /= time_scale;
      task.end_s /= time_scale;
    }
  return times;
}

} // namespace skippipe::actors
