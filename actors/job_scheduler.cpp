#include "actors/job_scheduler.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <utility>

namespace skippipe::actors {

using trace::event_kind;

node_plan slice(const scheduler::plan& plan, node_id node, std::uint32_t memory) {
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
  }
  return result;
}

namespace {

/// Stages left out and stages visited behind the frontier, over all paths.
void count_changes(const scheduler::plan& plan, iteration_report& report) {
  for (const auto& path : plan.paths) {
    const auto skipped = static_cast<std::uint32_t>(plan.arrangement.size() - 1 - path.hops.size());
    std::uint32_t swaps = 0;
    stage_id frontier = 0;
    for (const auto& hop : path.hops) {
      swaps += hop.stage < frontier ? 1 : 0;
      frontier = std::max(frontier, hop.stage);
    }
    report.skipped_stages += skipped;
    report.swaps += swaps;
    report.skipped_microbatches += skipped > 0 ? 1 : 0;
    report.swapped_microbatches += swaps > 0 ? 1 : 0;
  }
}

} // namespace

void job_scheduler_state::broadcast(const wire_message& message) {
  for (const auto& [node, info] : members_)
    env->net->send(node, message);
}

void job_scheduler_state::launch() {
  committed_ = options.committed;
  evaluated_at_ = options.eval_at_start ? committed_ + 1 : committed_;
  for (stage_id stage = 0; stage < options.plan.arrangement.size(); ++stage)
    for (auto node : options.plan.arrangement[stage])
      members_[node].stage = stage;
  for (const auto& [node, info] : members_) {
    env->net->send(node, assign{options.term, info.stage, committed_, options.checkpoint});
    env->net->send(node, set_plan{options.term, slice(options.plan, node, options.memory[node])});
  }
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
  for (const auto& [node, other] : members_)
    if (!other.is_ready)
      return;
  all_ready();
}

void job_scheduler_state::all_ready() {
  std::map<stage_id, std::pair<node_id, std::uint64_t>> first;
  for (const auto& [node, info] : members_) {
    const auto& seen = first.try_emplace(info.stage, node, info.hash).first->second;
    if (seen.second != info.hash)
      return fail("nodes " + std::to_string(seen.first) + " and " + std::to_string(node)
                  + " hold different parameters of stage " + std::to_string(info.stage)
                  + " after iteration " + std::to_string(committed_));
  }
  if (phase_ == phase::assigning) {
    phase_ = phase::running;
    started_ns_ = env->time->now_ns();
  }
  if (allowed_ > committed_)
    return; // The commit let them run on.
  if (committed_ >= options.last)
    stopping_ = true;
  const bool at_start = committed_ == options.committed && options.eval_at_start;
  if ((at_start || evaluation_due(committed_)) && evaluated_at_ != committed_) {
    evaluated_at_ = committed_;
    evaluations_.assign(options.eval.rbegin(), options.eval.rend());
  }
  if (stopping_ && !std::exchange(final_evaluated_, true))
    evaluations_.insert(evaluations_.begin(), options.final_eval.rbegin(),
                        options.final_eval.rend());
  start_evaluation();
}

// -- evaluation ----------------------------------------------------------------

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
  if (phase_ != phase::evaluating || report.number != evaluation_number_
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
  if (options.observer.on_evaluation)
    options.observer.on_evaluation(evaluation_);
  start_evaluation();
}

void job_scheduler_state::go_on() {
  if (stopping_) {
    phase_ = phase::ending;
    return end_if_quiet();
  }
  if (std::exchange(phase_, phase::running) == phase::evaluating)
    started_ns_ = env->time->now_ns();
  allowed_ = committed_ + 1;
  broadcast(proceed{options.term, allowed_, options.plan.version});
}

// -- the commit ------------------------------------------------------------------

void job_scheduler_state::on(const losses& report) {
  if (report.iteration != committed_ + 1 || report.attempt != attempt_)
    return;
  losses_.insert_or_assign(report.node, report);
  try_commit();
}

void job_scheduler_state::on(const reduced& report) {
  if (report.iteration != committed_ + 1 || report.attempt != attempt_)
    return;
  reduced_.insert_or_assign(report.node, report);
  try_commit();
}

void job_scheduler_state::try_commit() {
  if (committing_ || reduced_.size() < members_.size())
    return;
  std::set<node_id> origins;
  for (const auto& path : options.plan.paths)
    origins.insert(path.origin);
  if (losses_.size() < origins.size())
    return;

  ledger book{options.plan};
  std::map<stage_id, node_id> speaker; // The lowest node speaks for its stage.
  for (const auto& [node, report] : reduced_) {
    book.add(report);
    speaker.try_emplace(report.stage, node);
  }
  if (auto problem = book.imbalance(); !problem.empty())
    return fail("iteration " + std::to_string(committed_ + 1) + " does not balance: " + problem);

  double total = 0;
  stage_norms_.clear();
  for (const auto& [stage, node] : speaker) {
    double& sum = stage_norms_[stage];
    for (double squared : reduced_[node].squared_norms)
      sum += squared;
    total += sum;
  }
  grad_norm_ = std::sqrt(total);
  pending_ = {};
  pending_.term = options.term;
  pending_.iteration = committed_ + 1;
  pending_.attempt = attempt_;
  pending_.plan = options.plan.version;
  if (auto stage = guard_.suspect(stage_norms_)) {
    if (attempt_ == 0) {
      ++attempt_;
      reduced_.clear();
      losses_.clear();
      return broadcast(replay{options.term, committed_ + 1, attempt_});
    }
    pending_.skip = true;
    if (++bad_in_a_row_ == 3) {
      // Ends with a checkpoint of the last commit that changed the weights.
      failure_ = "stage " + std::to_string(*stage)
                 + " had an impossible gradient norm three iterations in a row";
      stopping_ = true;
    }
  } else {
    bad_in_a_row_ = 0;
    guard_.remember(stage_norms_);
  }
  pending_.clip_factor =
      options.clip > 0 && grad_norm_ > options.clip ? options.clip / grad_norm_ : 1.0;
  committing_ = true;
  if (!options.journal)
    return send_commit();
  env->background->submit(work_kind::other, [write = options.journal, entry = pending_,
                                             target = scheduler_actor{self}] {
    std::string problem;
    try {
      write(entry);
    } catch (const std::exception& e) {
      problem = e.what();
    }
    caf::anon_send(target, caf::put_atom::value, entry.iteration, std::move(problem));
  });
}

void job_scheduler_state::journaled(iteration_no iteration, const std::string& problem) {
  if (!committing_ || iteration != pending_.iteration || phase_ == phase::ended)
    return;
  if (!problem.empty())
    return fail(problem);
  send_commit();
}

bool job_scheduler_state::checkpoint_due(iteration_no iteration) const {
  if (!options.publish_checkpoint)
    return false;
  if (last(iteration))
    return options.checkpoint_at_end;
  return options.checkpoint_every != 0 && iteration % options.checkpoint_every == 0
         && checkpoint_running_ == 0; // One at a time; a late one skips a turn.
}

void job_scheduler_state::send_commit() {
  committing_ = false;
  const auto iteration = pending_.iteration;
  const bool snapshot = checkpoint_due(iteration) && checkpoint_running_ == 0;
  const bool pause = last(iteration) || evaluation_due(iteration);
  pending_.limit = allowed_ = pause ? iteration : iteration + 1;
  if (snapshot) {
    checkpoint_running_ = iteration;
    checkpoint_problem_.clear();
  }
  std::set<stage_id> writers;
  env->record({.iteration = iteration, .attempt = attempt_, .kind = event_kind::commit_sent});
  for (auto& [node, info] : members_) {
    info.is_ready = false;
    auto order = pending_;
    // One replica per stage writes: the lowest node.
    order.snapshot = snapshot && writers.insert(info.stage).second;
    env->net->send(node, order);
  }
  if (snapshot)
    checkpoint_missing_ = writers;
  committed_ = iteration;
  attempt_ = 0;
  report_iteration();
  reduced_.clear();
  losses_.clear();
}

void job_scheduler_state::report_iteration() {
  iteration_report report;
  report.iteration = committed_;
  for (const auto& [node, entry] : losses_)
    for (std::size_t i = 0; i < entry.ids.size(); ++i) {
      report.loss += entry.loss_sums[i];
      report.tokens += entry.tokens[i];
    }
  if (report.tokens > 0)
    report.loss /= static_cast<double>(report.tokens);
  const auto now = env->time->now_ns();
  report.iteration_s = 1e-9 * static_cast<double>(now - std::exchange(started_ns_, now));
  report.grad_norm = grad_norm_;
  report.clip_factor = pending_.clip_factor;
  report.plan = options.plan.version;
  report.microbatches = static_cast<std::uint32_t>(options.plan.paths.size());
  count_changes(options.plan, report);
  report.skipped = pending_.skip;
  if (options.observer.on_iteration)
    options.observer.on_iteration(report);
}

// -- checkpoints and the end -------------------------------------------------------

void job_scheduler_state::on(const snapshot_done& report) {
  if (report.iteration != checkpoint_running_ || checkpoint_missing_.erase(report.stage) == 0)
    return;
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

void job_scheduler_state::published(iteration_no iteration, const std::string& problem) {
  if (iteration != checkpoint_running_)
    return;
  checkpoint_running_ = 0;
  if (options.observer.on_checkpoint)
    options.observer.on_checkpoint(iteration, problem);
  end_if_quiet();
}

void job_scheduler_state::end_if_quiet() {
  if (phase_ != phase::ending || checkpoint_running_ != 0)
    return;
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
  fail("node " + std::to_string(report.node) + ": " + report.reason);
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
      [self](caf::close_atom) { self->state.close(); },
      [self](status_atom) { return self->state.status(); },
  };
}

} // namespace skippipe::actors
