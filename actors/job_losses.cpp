// Of the scheduler actor: nodes that are lost, cut off or drained, and the plan without them (R5).
#include "actors/job_scheduler.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace skippipe::actors {

/// Besides `except`.
bool job_scheduler_state::has_member(stage_id stage, node_id except) const {
  return std::any_of(members_.begin(), members_.end(), [&](const auto& other) {
    return other.first != except && other.second.stage == stage;
  });
}

void job_scheduler_state::lose(node_id node, const std::string& reason) {
  if (phase_ == phase::ended || !members_.contains(node))
    return;
  const auto stage = members_[node].stage;
  members_.erase(node);
  leaving_.erase(node);
  gone_.insert(node);
  costs_.forget(node);
  if (options.observer.on_member_lost)
    options.observer.on_member_lost(node, reason);
  const auto writer = checkpoint_missing_.find(stage);
  const bool wrote =
      checkpoint_running_ != 0 && writer != checkpoint_missing_.end() && writer->second == node;
  // At the end nobody is needed but for what is still to be written.
  const bool needed = phase_ != phase::ending || final_checkpoint_due()
                      || (wrote && checkpoint_running_ == committed_);
  const bool alone = needed && !has_member(stage);
  if (alone && options.observer.on_stage_lost) {
    phase_ = phase::ended;
    failure_ = "stage " + std::to_string(stage) + " has no node left";
    broadcast(stop{options.term});
    return options.observer.on_stage_lost(stage, reason);
  }
  if (alone || (phase_ != phase::ending && !options.adjust))
    return fail(called(node) + " is lost: " + reason);
  if (wrote) {
    checkpointed_ = 0;
    published(checkpoint_running_, called(node) + " was lost while it wrote");
  }
  if (phase_ < phase::ending)
    replan();
}

void job_scheduler_state::release(node_id node) {
  if (members_.contains(node) && phase_ < phase::ending)
    leaving_.insert(node);
}

/// After a commit: those who leave have their part in it, and nothing of the next one.
void job_scheduler_state::dismiss_leaving() {
  bool any = false;
  for (auto node : std::exchange(leaving_, {})) {
    const auto stage = members_[node].stage;
    const auto writer = checkpoint_missing_.find(stage);
    const bool writes = writer != checkpoint_missing_.end() && writer->second == node;
    if (!has_member(stage, node) || writes || !options.adjust || last(committed_)) {
      leaving_.insert(node); // Not now.
      continue;
    }
    members_.erase(node);
    gone_.insert(node);
    costs_.forget(node);
    env->net->send(node, stop{options.term});
    if (options.observer.on_member_left)
      options.observer.on_member_left(node);
    any = true;
  }
  if (any)
    replan();
}

void job_scheduler_state::replan() {
  if (std::exchange(replanning_, true))
    return; // What comes back is found to be of too few losses, and made again.
  drift_.restart();
  candidate_.reset();
  env->background->submit(work_kind::other,
                          [make = options.adjust, running = options.plan, gone = gone_,
                           costs = costs_, target = scheduler_actor{self}] {
                            auto made = std::make_shared<plan_adjusted>();
                            made->gone = gone;
                            made->running = running.version;
                            try {
                              made->result = make(running, gone, costs);
                            } catch (const std::exception& problem) {
                              made->error = problem.what();
                            }
                            caf::anon_send(target, std::move(made));
                          });
}

void job_scheduler_state::adjusted(plan_adjusted& made) {
  if (phase_ == phase::ended)
    return;
  replanning_ = false;
  if (made.gone != gone_)
    return replan();
  if (!made.error.empty())
    return fail(made.error);
  take(std::move(made.result), 0);
  if (phase_ == phase::evaluating) {
    list_evaluations();
    return start_evaluation();
  }
  if (phase_ == phase::running && allowed_ > committed_ && !committing_)
    return run_again();
  if (phase_ < phase::ending && !committing_)
    try_ready();
  // While a commit is being journaled its iteration stands, and the new plan is for the next one.
}

/// The nodes get it now and run by it when they are told to.
void job_scheduler_state::take(adjusted_plan made, double saves) {
  const auto version = options.plan.version + 1;
  options.plan = std::move(made.plan);
  options.plan.version = version;
  options.eval = std::move(made.eval);
  options.final_eval = std::move(made.final_eval);
  hand_out_plan();
  if (options.observer.on_plan)
    options.observer.on_plan(options.plan, saves);
}

void job_scheduler_state::run_again() {
  ++attempt_;
  reduced_.clear();
  losses_.clear();
  broadcast(replay{options.term, committed_ + 1, attempt_, options.plan.version});
}

/// Whether the attempt that a report is about still runs. Had one of its ends been lost, another would.
bool job_scheduler_state::concerns_us(const unreachable& report) const {
  if (replanning_ || committing_)
    return false;
  if (report.mode == pass::evaluate)
    return phase_ == phase::evaluating && report.iteration == evaluation_number_;
  return phase_ == phase::running && report.iteration == committed_ + 1
         && report.attempt == attempt_;
}

void job_scheduler_state::on(const unreachable& report) {
  if (!concerns_us(report))
    return;
  ++complaints_[report.node];
  ++complaints_[report.peer];
  self->delayed_send(self, std::chrono::nanoseconds{options.patience_ns}, patience_over{report});
}

void job_scheduler_state::check_unreachable(const unreachable& report) {
  if (!concerns_us(report))
    return;
  if (++cut_replays_ > 3) {
    // Of the two ends of one bad link rather the one whose stage goes on without it.
    const auto weight = [&](const auto& entry) {
      const auto found = members_.find(entry.first);
      return found == members_.end()
                 ? std::make_pair(0u, false)
                 : std::make_pair(entry.second, has_member(found->second.stage, entry.first));
    };
    const auto worst =
        std::max_element(complaints_.begin(), complaints_.end(), [&](const auto& a, const auto& b) {
          return weight(a) < weight(b);
        })->first;
    complaints_.clear();
    cut_replays_ = 0;
    return lose(worst, "other nodes do not reach it: " + report.reason);
  }
  if (report.mode == pass::train)
    return run_again();
  list_evaluations();
  start_evaluation();
}

} // namespace skippipe::actors
