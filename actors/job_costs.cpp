// Of the scheduler actor: what nodes and links cost, and a better plan for it. Nodes keep their stages; paths
// and order change, at a commit, without a pause.
#include "actors/job_scheduler.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace skippipe::actors {

/// From the reports of the iteration that now stands.
void job_scheduler_state::note_costs() {
  std::map<std::pair<node_id, node_id>, link_sample> seen; // From, to.
  for (const auto& [node, report] : reduced_) {
    costs_.add_tasks(node, report.stage,
                     {report.costs.forward_s, report.costs.loss_s, report.costs.backward_s});
    for (const auto& sample : report.links)
      if (members_.contains(sample.peer))
        seen[{sample.peer, node}] = sample;
  }
  for (const auto& [ends, sample] : seen) {
    scheduler::link_figures figures{0, sample.bandwidth_Bps};
    // One way gives the latency plus the difference of the clocks, the other the latency less it.
    if (const auto back = seen.find({ends.second, ends.first}); back != seen.end())
      figures.latency_s = std::max(0.0, (sample.delay_s + back->second.delay_s) / 2);
    costs_.add_link(ends.first, ends.second, figures);
  }
  if (options.observer.on_costs)
    options.observer.on_costs(costs_);
}

void job_scheduler_state::follow_costs() {
  if (!options.costs.problem || !options.adjust || !costs_.knows_tasks())
    return;
  switch (drift_.look(options.costs.problem(costs_), options.plan)) {
    case scheduler::drift_watch::advice::plan:
      return plan_for_costs();
    case scheduler::drift_watch::advice::adopt:
      drift_.take();
      return take(*std::exchange(candidate_, std::nullopt), drift_.gain());
    case scheduler::drift_watch::advice::nothing:
      break;
  }
}

/// Training goes on meanwhile: on `compute`, which the scheduler has no other use for, since a commit waits
/// for what `background` does.
void job_scheduler_state::plan_for_costs() {
  env->compute->submit(work_kind::other,
                       [make = options.adjust, running = options.plan, gone = gone_, costs = costs_,
                        target = scheduler_actor{self}] {
                         auto made = std::make_shared<plan_adjusted>();
                         made->gone = gone;
                         made->running = running.version;
                         made->for_costs = true;
                         try {
                           made->result = make(running, gone, costs);
                         } catch (const std::exception& problem) {
                           made->error = problem.what();
                         }
                         caf::anon_send(target, std::move(made));
                       });
}

void job_scheduler_state::offered(plan_adjusted& made) {
  const bool stale = made.gone != gone_ || made.running != options.plan.version || replanning_;
  if (stale || !made.error.empty()) {
    candidate_.reset();
    return drift_.withdraw(); // What runs is good enough.
  }
  drift_.offer(made.result.plan);
  candidate_ = std::move(made.result);
}

} // namespace skippipe::actors
