#include "actors/job_scheduler.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <utility>

namespace skippipe::actors {

node_plan slice(const scheduler::plan& plan, node_id node, std::uint32_t memory,
                const plan_times& times) {
  node_plan result;
  result.version = plan.version;
  result.microbatches = static_cast<std::uint32_t>(plan.paths.size());
  result.memory = memory;
  for (stage_id stage = 0; stage < plan.arrangement.size(); ++stage) {
    const auto& nodes = plan.arrangement[stage];
    if (std::find(nodes.begin(), nodes.end(), node) != nodes.end()) {
      result.stage = stage;
      result.replicas = nodes;
      std::sort(result.replicas.begin(), result.replicas.end());
    }
  }
  for (const auto& task : plan.order[node]) {
    node_id from = node;
    if (task.kind == scheduler::task_kind::forward) {
      const auto& path = plan.paths[task.microbatch];
      if (path.origin == node)
        result.paths.push_back(path);
      else
        for (std::size_t i = 0; i < path.hops.size(); ++i)
          if (path.hops[i].node == node)
            from = i == 0 ? path.origin : path.hops[i - 1].node;
    }
    result.order.push_back({task.microbatch, task.kind, from});
    if (node < times.size()) {
      const auto& time = times[node][result.order.size() - 1];
      result.order.back().due_ns = std::llround(1e9 * time.start_s);
      result.order.back().lasts_ns = std::llround(1e9 * (time.end_s - time.start_s));
    }
  }
  return result;
}

void job_scheduler_state::broadcast(const wire_message& message) {
  for (const auto& [node, info] : members_)
    env->net->send(node, message);
}

void job_scheduler_state::hand_out_plan() {
  const auto times = options.times ? options.times(options.plan, costs_) : plan_times{};
  for (const auto& [node, info] : members_)
    env->net->send(node,
                   set_plan{options.term, slice(options.plan, node, options.memory[node], times)});
}

void job_scheduler_state::launch() {
  committed_ = options.committed;
  costs_ = options.costs.known;
  drift_ = scheduler::drift_watch{options.costs.drift};
  evaluated_at_ = options.eval_at_start ? committed_ + 1 : committed_;
  for (stage_id stage = 0; stage < options.plan.arrangement.size(); ++stage)
    for (auto node : options.plan.arrangement[stage])
      members_[node].stage = stage;
  for (const auto& [node, info] : members_)
    env->net->send(node, assign{options.term, info.stage, committed_, options.checkpoint});
  hand_out_plan();
}

void job_scheduler_state::accept(inbound& message) {
  if (phase_ == phase::ended)
    return;
  std::visit(
      [this, &message](const auto& report) {
        if constexpr (requires {
                        report.node;
                        this->on(report);
                      }) {
          // Nobody speaks for another, and the lost no more.
          if (report.node == message.from && members_.contains(report.node))
            on(report);
        }
      },
      message.message);
}

// -- readiness -----------------------------------------------------------------

void job_scheduler_state::on(const ready& report) {
  auto& info = members_[report.node];
  if (report.committed != committed_ || info.is_ready)
    return; // A duplicate or of an older commit.
  info.is_ready = true;
  info.hash = report.hash;
  costs_.add_tasks(report.node, info.stage,
                   {report.costs.forward_s, report.costs.loss_s, report.costs.backward_s});
  try_ready();
}

void job_scheduler_state::try_ready() {
  for (const auto& [node, info] : members_)
    if (!info.is_ready)
      return;
  all_ready();
}

void job_scheduler_state::all_ready() {
  std::map<stage_id, std::pair<node_id, std::uint64_t>> first;
  for (const auto& [node, info] : members_) {
    const auto& seen = first.try_emplace(info.stage, node, info.hash).first->second;
    if (seen.second != info.hash)
      return fail(called(seen.first) + " and " + called(node)
                  + " hold different parameters of stage " + std::to_string(info.stage)
                  + " after iteration " + std::to_string(committed_));
  }
  if (phase_ == phase::assigning) {
    phase_ = phase::running;
    started_ns_ = env->time->now_ns();
    follow_costs(); // Of the warm-up.
  }
  if (allowed_ > committed_ || replanning_ || phase_ == phase::evaluating
      || phase_ >= phase::ending)
    return; // The commit let them run on; or the plan that they wait for does.
  if (committed_ >= options.last)
    stopping_ = true;
  const bool at_start = committed_ == options.committed && options.eval_at_start;
  with_eval_ = with_final_ = false;
  evaluations_done_ = 0;
  if ((at_start || evaluation_due(committed_)) && evaluated_at_ != committed_) {
    evaluated_at_ = committed_;
    with_eval_ = true;
  }
  if (stopping_ && !std::exchange(final_evaluated_, true))
    with_final_ = true;
  list_evaluations();
  start_evaluation();
}

// -- evaluation ----------------------------------------------------------------

void job_scheduler_state::list_evaluations() {
  evaluations_.clear();
  if (with_final_)
    evaluations_.assign(options.final_eval.rbegin(), options.final_eval.rend());
  if (with_eval_)
    evaluations_.insert(evaluations_.end(), options.eval.rbegin(), options.eval.rend());
  // The one that was running runs again; answers to its old number are not counted any more.
  evaluations_.resize(evaluations_.size() - std::min(evaluations_.size(), evaluations_done_));
  evaluation_origins_.clear();
}

bool job_scheduler_state::last(iteration_no iteration) const {
  return stopping_ || iteration >= options.last;
}

bool job_scheduler_state::evaluation_due(iteration_no iteration) const {
  if (options.eval.empty())
    return false;
  return last(iteration) || (options.eval_every != 0 && iteration % options.eval_every == 0);
}

void job_scheduler_state::start_evaluation() {
  if (evaluations_.empty())
    return go_on();
  phase_ = phase::evaluating;
  auto next = std::move(evaluations_.back());
  evaluations_.pop_back();
  evaluation_ = {committed_, next.what, 0, 0};
  ++evaluation_number_;
  std::map<node_id, std::vector<scheduler::path>> by_origin;
  for (auto& path : next.paths)
    by_origin[path.origin].push_back(std::move(path));
  for (auto& [node, paths] : by_origin) {
    evaluation_origins_.insert(node);
    env->net->send(node, evaluate{options.term, evaluation_number_, std::move(paths)});
  }
}

void job_scheduler_state::on(const evaluated& report) {
  if (phase_ != phase::evaluating || replanning_ || report.number != evaluation_number_
      || evaluation_origins_.erase(report.node) == 0)
    return;
  for (std::size_t i = 0; i < report.ids.size(); ++i) {
    evaluation_.loss += report.loss_sums[i];
    evaluation_.tokens += report.tokens[i];
  }
  if (!evaluation_origins_.empty())
    return;
  if (evaluation_.tokens > 0)
    evaluation_.loss /= static_cast<double>(evaluation_.tokens);
  ++evaluations_done_;
  if (options.observer.on_evaluation)
    options.observer.on_evaluation(evaluation_);
  start_evaluation();
}

void job_scheduler_state::go_on() {
  with_eval_ = with_final_ = false;
  if (replanning_)
    return;
  if (stopping_) {
    phase_ = phase::ending;
    return end_if_quiet();
  }
  if (std::exchange(phase_, phase::running) == phase::evaluating)
    started_ns_ = env->time->now_ns();
  allowed_ = committed_ + 1;
  broadcast(proceed{options.term, allowed_, options.plan.version});
}

// -- checkpoints and the end -------------------------------------------------------

void job_scheduler_state::on(const snapshot_done& report) {
  const auto writer = checkpoint_missing_.find(report.stage);
  if (report.iteration != checkpoint_running_ || writer == checkpoint_missing_.end()
      || writer->second != report.node)
    return;
  checkpoint_missing_.erase(writer);
  if (!report.error.empty())
    checkpoint_problem_ = report.error;
  if (!checkpoint_missing_.empty())
    return;
  if (!checkpoint_problem_.empty())
    return published(report.iteration, checkpoint_problem_);
  env->background->submit(work_kind::other, [publish = options.publish_checkpoint,
                                             iteration = report.iteration,
                                             target = scheduler_actor{self}] {
    std::string problem;
    try {
      publish(iteration);
    } catch (const std::exception& e) {
      problem = e.what();
    }
    caf::anon_send(target, caf::publish_atom::value, iteration, std::move(problem));
  });
}

void job_scheduler_state::begin_checkpoint(iteration_no iteration) {
  checkpoint_running_ = checkpointed_ = iteration;
  checkpoint_problem_.clear();
  checkpoint_missing_.clear();
  for (const auto& [node, info] : members_)
    if (!leaving_.contains(node))
      checkpoint_missing_.try_emplace(info.stage, node);
  for (const auto& [node, info] : members_)
    checkpoint_missing_.try_emplace(info.stage, node);
}

void job_scheduler_state::published(iteration_no iteration, const std::string& problem) {
  if (iteration != checkpoint_running_)
    return;
  checkpoint_running_ = 0;
  checkpoint_missing_.clear();
  if (options.observer.on_checkpoint)
    options.observer.on_checkpoint(iteration, problem);
  end_if_quiet();
}

/// The last one may have waited for the one before, or have died with its writer.
bool job_scheduler_state::final_checkpoint_due() const {
  return options.publish_checkpoint && options.checkpoint_at_end && checkpointed_ != committed_
         && committed_ != options.committed;
}

void job_scheduler_state::end_if_quiet() {
  if (phase_ != phase::ending || checkpoint_running_ != 0)
    return;
  if (final_checkpoint_due()) {
    begin_checkpoint(committed_);
    for (const auto& [stage, node] : checkpoint_missing_)
      env->net->send(node, snapshot_now{options.term, committed_});
    return;
  }
  phase_ = phase::ended;
  broadcast(stop{options.term});
  if (!failure_.empty()) {
    if (options.observer.on_failed)
      options.observer.on_failed(failure_);
  } else if (options.observer.on_done) {
    options.observer.on_done(committed_);
  }
}

void job_scheduler_state::close() { stopping_ = true; }

void job_scheduler_state::on(const failed& report) {
  fail(called(report.node) + ": " + report.reason);
}

std::string job_scheduler_state::called(node_id node) const {
  return node < options.names.size() ? "node '" + options.names[node] + "'"
                                     : "node " + std::to_string(node);
}

void job_scheduler_state::fail(const std::string& reason) {
  if (phase_ == phase::ended)
    return;
  phase_ = phase::ended;
  failure_ = reason;
  broadcast(stop{options.term});
  if (options.observer.on_failed)
    options.observer.on_failed(reason);
}

scheduler_status job_scheduler_state::status() const {
  return {committed_, phase_ == phase::running ? committed_ + 1 : 0, phase_ == phase::ended,
          failure_};
}

scheduler_actor::behavior_type
job_scheduler(scheduler_actor::stateful_pointer<job_scheduler_state> self,
              std::shared_ptr<environment> env, job_options options) {
  self->state.self = self;
  self->state.env = std::move(env);
  self->state.options = std::move(options);
  return {
      [self](inbound& message) { self->state.accept(message); },
      [self](caf::ok_atom) { self->state.launch(); },
      [self](caf::put_atom, iteration_no iteration, const std::string& problem) {
        self->state.journaled(iteration, problem);
      },
      [self](caf::publish_atom, iteration_no iteration, const std::string& problem) {
        self->state.published(iteration, problem);
      },
      [self](const member_lost& gone) { self->state.lose(gone.node, gone.reason); },
      [self](const member_leaves& wish) { self->state.release(wish.node); },
      [self](std::shared_ptr<plan_adjusted>& made) {
        made->for_costs ? self->state.offered(*made) : self->state.adjusted(*made);
      },
      [self](const patience_over& over) { self->state.check_unreachable(over.report); },
      [self](caf::close_atom) { self->state.close(); },
      [self](status_atom) { return self->state.status(); },
  };
}

} // namespace skippipe::actors
