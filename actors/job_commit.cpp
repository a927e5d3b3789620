// Of the scheduler actor: what makes an iteration stand.
#include "actors/job_scheduler.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <utility>

namespace skippipe::actors {

using trace::event_kind;

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
  if (committing_ || replanning_ || reduced_.size() < members_.size())
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
  report_ = {};
  report_.plan = options.plan.version;
  report_.microbatches = static_cast<std::uint32_t>(options.plan.paths.size());
  count_changes(options.plan, report_);
  pending_ = {};
  pending_.term = options.term;
  pending_.iteration = committed_ + 1;
  pending_.attempt = attempt_;
  pending_.plan = options.plan.version;
  if (auto stage = guard_.suspect(stage_norms_)) {
    if (!suspected_) {
      suspected_ = true;
      return run_again();
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
  if (last(iteration) && options.checkpoint_at_end)
    return checkpoint_running_ == 0; // Else after it, see end_if_quiet.
  return !last(iteration) && options.checkpoint_every != 0
         && iteration % options.checkpoint_every == 0
         && checkpoint_running_ == 0; // One at a time; a late one skips a turn.
}

void job_scheduler_state::send_commit() {
  committing_ = false;
  const auto iteration = pending_.iteration;
  note_costs();
  if (!last(iteration) && !replanning_ && leaving_.empty())
    follow_costs();
  const bool snapshot = checkpoint_due(iteration);
  const bool pause =
      last(iteration) || evaluation_due(iteration) || replanning_ || !leaving_.empty();
  pending_.limit = allowed_ = pause ? iteration : iteration + 1;
  pending_.plan = options.plan.version;
  if (snapshot)
    begin_checkpoint(iteration);
  env->record({.iteration = iteration, .attempt = attempt_, .kind = event_kind::commit_sent});
  for (auto& [node, info] : members_) {
    info.is_ready = false;
    auto order = pending_;
    // One replica per stage writes: the lowest node that stays.
    order.snapshot = snapshot && checkpoint_missing_.at(info.stage) == node;
    env->net->send(node, order);
  }
  committed_ = iteration;
  attempt_ = 0;
  suspected_ = false;
  cut_replays_ = 0;
  complaints_.clear();
  report_iteration();
  reduced_.clear();
  losses_.clear();
  dismiss_leaving();
}

void job_scheduler_state::report_iteration() {
  auto& report = report_;
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
  report.skipped = pending_.skip;
  if (options.observer.on_iteration)
    options.observer.on_iteration(report);
}

} // namespace skippipe::actors
