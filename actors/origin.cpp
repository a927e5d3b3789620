#include "actors/origin.hpp"

#include <algorithm>
#include <utility>

namespace skippipe::actors {

void origin_state::start(const scheduler::path& path, iteration_no iteration, attempt_no attempt,
                         plan_version plan, pass mode) {
  microbatch work;
  work.iteration = iteration;
  work.id = path.microbatch;
  work.attempt = attempt;
  work.plan = plan;
  work.mode = mode;
  work.origin = options.env->node;
  work.hops = path.hops;
  self->send(stage, inbound{options.env->node, std::move(work), {}});
}

void origin_state::begin(const iteration_begin& order) {
  losses_ = {};
  losses_.node = options.env->node;
  losses_.iteration = order.iteration;
  losses_.attempt = order.attempt;
  expected_ = order.paths.size();
  for (const auto& path : order.paths)
    start(path, order.iteration, order.attempt, order.plan, pass::train);
}

void origin_state::collect(const loss_known& loss) {
  const auto& work = loss.work;
  if (work.mode == pass::evaluate) {
    const auto& seen = evaluated_.ids;
    if (work.iteration != evaluated_.number
        || std::find(seen.begin(), seen.end(), work.id) != seen.end())
      return; // Of an older evaluation, or a duplicate.
    evaluated_.ids.push_back(work.id);
    evaluated_.loss_sums.push_back(loss.loss_sum);
    evaluated_.tokens.push_back(loss.tokens);
    start_evaluations();
    if (evaluated_.ids.size() == evaluations_expected_)
      options.env->net->send(scheduler_address, evaluated_);
    return;
  }
  if (work.iteration != losses_.iteration || work.attempt != losses_.attempt)
    return;
  losses_.ids.push_back(work.id);
  losses_.loss_sums.push_back(loss.loss_sum);
  losses_.tokens.push_back(loss.tokens);
  if (losses_.ids.size() == expected_)
    options.env->net->send(scheduler_address, losses_);
}

void origin_state::run_evaluation(const evaluate& order) {
  if (order.number <= evaluated_.number)
    return; // A duplicate, or given up meanwhile.
  evaluated_ = {};
  evaluated_.node = options.env->node;
  evaluated_.number = order.number;
  evaluations_expected_ = order.paths.size();
  evaluations_waiting_.assign(order.paths.begin(), order.paths.end());
  // Two at a time: one computes while the other travels, and nobody's memory fills.
  start_evaluations();
  start_evaluations();
}

void origin_state::start_evaluations() {
  if (evaluations_waiting_.empty())
    return;
  auto path = std::move(evaluations_waiting_.front());
  evaluations_waiting_.pop_front();
  start(path, evaluated_.number, 0, 0, pass::evaluate);
}

origin_actor::behavior_type origin(origin_actor::stateful_pointer<origin_state> self,
                                   origin_options options) {
  self->state.self = self;
  self->state.options = std::move(options);
  return {
      [self](const stage_actor& stage) { self->state.stage = stage; },
      [self](const iteration_begin& order) { self->state.begin(order); },
      [self](const loss_known& loss) { self->state.collect(loss); },
      [self](const evaluate& order) { self->state.run_evaluation(order); },
      [self](caf::close_atom) { self->quit(); },
  };
}

} // namespace skippipe::actors
