#include "actors/stage.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace skippipe::actors {

using scheduler::task_kind;
using trace::event_kind;

void stage_state::start(stage_actor::pointer self, stage_options options) {
  self_ = self;
  options_ = std::move(options);
  committed_ = options_.committed;
}

trace::event stage_state::event_of(event_kind kind, const microbatch& work) const {
  trace::event e;
  e.kind = kind;
  e.stage = options_.stage;
  e.iteration = work.iteration;
  e.microbatch = work.id;
  e.attempt = work.attempt;
  e.step = work.step;
  e.plan = static_cast<std::uint32_t>(work.plan);
  e.task = work.kind();
  e.evaluation = work.mode == pass::evaluate;
  return e;
}

void stage_state::drop(const microbatch& work, trace::reason why) {
  ++dropped_;
  auto e = event_of(event_kind::dropped, work);
  e.why = why;
  e.transfer = work.transfer;
  options_.env->record(e);
}

void stage_state::fail(const std::string& reason) {
  self_->send(options_.node, failed{options_.env->node, reason});
}

// -- entering an iteration ---------------------------------------------------

void stage_state::adopt(set_plan& order) {
  const auto version = order.plan.version;
  plans_.insert_or_assign(version, std::move(order.plan));
  options_.env->record({.iteration = committed_ + 1,
                        .stage = options_.stage,
                        .plan = static_cast<std::uint32_t>(version),
                        .kind = event_kind::plan_received});
  try_enter();
}

void stage_state::allow(iteration_no limit, plan_version plan) {
  if (limit > limit_) { // Else a duplicate, or overtaken by a later word.
    limit_ = limit;
    wanted_plan_ = plan;
  }
  try_enter();
}

void stage_state::try_enter() {
  const auto next = committed_ + 1;
  if (replay_ && replay_->iteration < next)
    replay_.reset(); // The commit came after all.
  // A replay may come before the commit or the plan that it builds upon.
  const bool again = replay_ && replay_->iteration == next;
  const auto version = again ? replay_->plan : wanted_plan_;
  if ((!again && (entered_ || resetting_ || limit_ < next)) || !plans_.contains(version))
    return;
  iteration_ = next;
  plan_ = plans_[version];
  plans_.erase(plans_.begin(), plans_.find(version));
  if (!again)
    return enter(0);
  const auto attempt = replay_->attempt;
  replay_.reset();
  // Only the reducer lends out the gradient; so it has it reset, after what it does with the old one.
  entered_ = false;
  resetting_ = attempt;
  self_->send(options_.reducer, reduce_reset{next, attempt});
}

void stage_state::restart(const replay& order) {
  if (order.iteration <= committed_)
    return; // Stands already.
  const auto number = [](const replay& x) { return std::make_pair(x.iteration, x.attempt); };
  const auto running = std::make_pair(iteration_, resetting_.value_or(attempt_));
  if (((entered_ || resetting_) && number(order) <= running)
      || (replay_ && number(order) <= number(*replay_)))
    return; // A duplicate, or overtaken by a later one.
  replay_ = order;
  try_enter();
}

void stage_state::begin_again(const shard_reset& done) {
  if (!resetting_ || done.iteration != iteration_ || done.attempt != *resetting_)
    return; // Replaced by a later attempt.
  resetting_.reset();
  enter(done.attempt);
}

void stage_state::enter(attempt_no attempt) {
  entered_ = true;
  attempt_ = attempt;
  reducing_ = false;
  queue_ = task_queue{plan_.order, plan_.memory};
  queue_.began(options_.env->time->now_ns());
  // Twice as many inputs may be on their way or wait as microbatches fit: a credit takes a trip to the
  // sender, which must not be felt. Each is one boundary tensor, far smaller than what a slot holds.
  window_ = credit_window{plan_.order, options_.env->node, 2 * plan_.memory};
  inputs_.clear();
  outbox_.clear();
  contributions_.clear();
  compute_s_ = 0;
  sums_ = {};
  std::erase_if(credits_, [this](const credit_key& key) {
    return std::make_tuple(std::get<0>(key), std::get<1>(key))
           < std::make_tuple(iteration_, attempt_);
  });
  options_.env->record({.iteration = iteration_,
                        .stage = options_.stage,
                        .attempt = attempt_,
                        .plan = static_cast<std::uint32_t>(plan_.version),
                        .kind = event_kind::iteration_started});
  for (const auto& task : plan_.order)
    options_.env->record({.iteration = iteration_,
                          .stage = options_.stage,
                          .microbatch = task.id,
                          .attempt = attempt_,
                          .plan = static_cast<std::uint32_t>(plan_.version),
                          .kind = event_kind::planned,
                          .task = task.kind});
  grant_credits();
  if (!plan_.paths.empty())
    self_->send(options_.origin, iteration_begin{iteration_, attempt_, plan_.version, plan_.paths});
  pump();
  measure_if_idle();
  reduce_if_done(); // A replica that the plan gives nothing to do has its part in the sum.
}

void stage_state::grant_credits() {
  for (const auto& task : window_.grant()) {
    options_.env->net->send(task.from, credit{iteration_, attempt_, plan_.version, task.id});
    options_.env->record({.iteration = iteration_,
                          .peer = task.from,
                          .stage = options_.stage,
                          .microbatch = task.id,
                          .attempt = attempt_,
                          .kind = event_kind::credit_granted});
  }
}

// -- what arrives --------------------------------------------------------------

void stage_state::accept(inbound& message) {
  if (auto* work = std::get_if<microbatch>(&message.message)) {
    if (message.from != options_.env->node) {
      auto e = event_of(event_kind::received, *work);
      e.peer = message.from;
      e.transfer = work->transfer;
      e.bytes = message.tensor.data.size();
      options_.env->record(e);
    }
    if (work->mode == pass::evaluate) {
      if (work->node_of(work->step) != options_.env->node)
        return drop(*work, trace::reason::unexpected);
      evaluations_.push_back(std::move(message));
      return pump();
    }
    accept_microbatch(*work, message.tensor);
  } else if (auto* grant = std::get_if<credit>(&message.message)) {
    accept_credit(*grant);
  }
}

void stage_state::accept_microbatch(microbatch& work, payload& tensor) {
  // R1: only what belongs to the running attempt counts. Nothing can be early: a forward needs the
  // credit that enter() grants, and the rest follows a forward.
  if (!entered_ || work.iteration != iteration_)
    return drop(work, trace::reason::stale_iteration);
  if (work.attempt != attempt_)
    return drop(work, trace::reason::stale_attempt);
  if (work.plan != plan_.version)
    return drop(work, trace::reason::stale_plan);
  const auto index = queue_.find(work.id, work.kind());
  if (!index || work.node_of(work.step) != options_.env->node)
    return drop(work, trace::reason::unexpected);
  if (!queue_.waiting(*index))
    return drop(work, trace::reason::duplicate);
  options_.env->record(event_of(event_kind::queued, work));
  inputs_.emplace(*index, inbound{work.node_of(work.step), std::move(work), std::move(tensor)});
  queue_.make_ready(*index);
  pump();
}

void stage_state::accept_credit(const credit& grant) {
  options_.env->record({.iteration = grant.iteration,
                        .stage = options_.stage,
                        .microbatch = grant.id,
                        .attempt = grant.attempt,
                        .kind = event_kind::credit_received});
  // A receiver can be one iteration ahead (its commit came first), never more: the next commit
  // needs this node.
  if (grant.iteration < committed_ + 1 || grant.iteration > committed_ + 2)
    return;
  const bool current = entered_ && grant.iteration == iteration_ && grant.attempt == attempt_
                       && grant.plan == plan_.version;
  if (auto waiting = outbox_.find(grant.id); current && waiting != outbox_.end()) {
    auto send = std::move(waiting->second);
    outbox_.erase(waiting);
    return transmit(std::move(send.work), std::move(send.tensor));
  }
  credits_.emplace(grant.iteration, grant.attempt, grant.plan, grant.id);
}

stage_status stage_state::snapshot() const {
  stage_status result;
  result.node = options_.env->node;
  result.stage = options_.stage;
  result.iteration = entered_ ? iteration_ : 0;
  result.committed = committed_;
  result.in_flight = queue_.held();
  result.peak_in_flight = queue_.peak_held();
  result.tasks_done = tasks_done_;
  result.dropped = dropped_;
  for (auto index : queue_.started())
    result.executed.push_back(queue_.task(index));
  return result;
}

stage_actor::behavior_type stage(stage_actor::stateful_pointer<stage_state> self,
                                 stage_options options) {
  self->state.start(self, std::move(options));
  return {
      [self](inbound& message) { self->state.accept(message); },
      [self](task_done& result) { self->state.finish(result); },
      [self](const idle_measured& seen) { self->state.idle_known(seen); },
      [self](set_plan& order) { self->state.adopt(order); },
      [self](const proceed& order) { self->state.allow(order.limit, order.plan); },
      [self](const commit& order) { self->state.apply(order); },
      [self](update_done& result) { self->state.applied(result); },
      [self](const replay& order) { self->state.restart(order); },
      [self](const shard_reset& done) { self->state.begin_again(done); },
      [self](const snapshot_now& order) { self->state.snapshot_late(order); },
      [self](const reduce_done& result) { self->state.gradient_complete(result); },
      [self](caf::tick_atom) { self->state.pump(); },
      [self](status_atom) { return self->state.snapshot(); },
      [self](caf::close_atom) { self->quit(); },
  };
}

} // namespace skippipe::actors
