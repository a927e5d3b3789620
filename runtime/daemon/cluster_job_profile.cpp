// Of a job on a cluster: what is measured before it starts and while it runs.
#include "actors/trace/plan_record.hpp"
#include "runtime/daemon/cluster_job_parts.hpp"
#include "runtime/daemon/link_survey.hpp"
#include "runtime/daemon/profile_book.hpp"
#include "runtime/train/events.hpp"
#include "scheduler/instance_json.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <system_error>
#include <utility>

namespace skippipe::runtime::daemon {

using namespace skippipe::actors;
namespace fs = std::filesystem;

namespace {

std::int64_t now_ns() { return real_clock{}.now_ns(); }

} // namespace

// Beside its name first, so that a reader finds all of it or what was there before.
void keep_problem(const fs::path& run_dir, const scheduler::instance& problem) {
  const auto file = run_dir / "instance.json";
  const auto beside = file.string() + ".new";
  {
    std::ofstream out{beside, std::ios::binary | std::ios::trunc};
    out << scheduler::write_instance(problem);
    if (!out.flush())
      return;
  }
  std::error_code ignored;
  fs::rename(beside, file, ignored);
}

/// Emulated machines have the costs that they are told to have.
bool cluster_job::is_emulated(const std::vector<job_node>& nodes) const {
  return std::any_of(nodes.begin(), nodes.end(), [&](const job_node& node) {
    return node.emulation.compute_s > 0 || (host_.links && host_.links->knows(node.location));
  });
}

void cluster_job::start(std::vector<job_node> nodes) {
  if (!host_.profile.enabled || is_emulated(nodes))
    return begin_planning(std::move(nodes));
  survey(std::move(nodes));
}

/// Probes what is not known well enough; plans afterwards.
void cluster_job::survey(std::vector<job_node> nodes) {
  phase_ = phase::probing;
  candidates_ = std::move(nodes);
  const auto& profile = host_.profile;
  const auto stale = [&](node_pair pair) {
    const auto a = candidates_[pair.first].life, b = candidates_[pair.second].life;
    const auto now = now_ns();
    return !host_.book->is_fresh(a, b, now, profile.fresh_s)
           || !host_.book->is_fresh(b, a, now, profile.fresh_s);
  };
  // A round takes both directions, one after the other.
  const auto most = 1 + static_cast<std::size_t>(profile.probe_total_s / (2 * profile.probe_s));
  auto rounds = probe_rounds(candidates_.size(), most, stale);
  if (rounds.empty())
    return begin_planning(std::move(candidates_));
  survey_no_ = static_cast<std::uint64_t>(now_ns());
  // Its callbacks come in the coordinator's turn and while it is there, but for the timers.
  const auto weak = weak_from_this();
  link_survey::options options;
  options.session = survey_no_;
  options.each = {profile.probe_bytes, profile.probe_s};
  options.seconds = profile.probe_total_s;
  options.now_s = [] { return 1e-9 * static_cast<double>(now_ns()); };
  options.order = [this](node_id to, const probe_pair& order) {
    caf::anon_send(candidates_[to].worker, order);
  };
  options.found = [this](const probe_result& seen) {
    const scheduler::link_figures figures{1e-9 * static_cast<double>(seen.latency_ns),
                                          static_cast<double>(seen.bandwidth_Bps)};
    host_.book->note_link(candidates_[seen.node].life, candidates_[seen.peer].life, figures,
                          now_ns());
  };
  options.began = [this, weak](std::size_t round) {
    host_.later(4 * host_.profile.probe_s + 25, [weak, round, number = survey_no_] {
      const auto self = weak.lock();
      if (self && self->survey_ && self->survey_no_ == number)
        self->survey_->give_up(round);
    });
  };
  // Not within a call of the survey itself, which it ends.
  options.done = [this, weak] {
    host_.in_turn([weak, number = survey_no_] {
      if (const auto self = weak.lock(); self && self->survey_no_ == number)
        self->surveyed();
    });
  };
  survey_ = std::make_unique<link_survey>(std::move(options), rounds);
  std::map<node_id, std::vector<session_peer>> partners;
  const auto peer = [&](node_id i) {
    const auto& node = candidates_[i];
    return session_peer{i, node.life, node.name, node.location, node.address};
  };
  for (const auto& round : rounds)
    for (const auto& [a, b] : round) {
      partners[a].push_back(peer(b));
      partners[b].push_back(peer(a));
    }
  for (auto& [node, peers] : partners)
    caf::anon_send(candidates_[node].worker,
                   probe_open{survey_no_, node, profile.probe_bytes, std::move(peers)});
  survey_->start();
}

/// R8: a node speaks for itself only.
bool cluster_job::is_candidate(node_id node, const caf::strong_actor_ptr& sender) const {
  return survey_ && node < candidates_.size() && sender
         && sender->address() == candidates_[node].worker.address();
}

void cluster_job::probed(const probe_opened& report, const caf::strong_actor_ptr& sender) {
  if (is_candidate(report.node, sender))
    survey_->opened(report);
}

void cluster_job::probed(const probe_result& report, const caf::strong_actor_ptr& sender) {
  if (is_candidate(report.node, sender))
    survey_->take(report);
}

void cluster_job::surveyed() {
  for (const auto node : survey_->nodes())
    caf::anon_send(candidates_[node].worker, probe_close{survey_no_});
  surveyed_ = {{"nodes", survey_->nodes().size()},
               {"bytes", survey_->bytes()},
               {"seconds", survey_->took_s()}};
  char text[120];
  std::snprintf(text, sizeof text, "links of %zu nodes measured with %.1f MB in %.1f s",
                survey_->nodes().size(), 1e-6 * static_cast<double>(survey_->bytes()),
                survey_->took_s());
  survey_.reset();
  if (phase_ != phase::probing)
    return;
  host_.emit(events::note(text));
  begin_planning(std::move(candidates_));
}

void cluster_job::begin_planning(std::vector<job_node> nodes) {
  phase_ = phase::planning;
  scheduler::cost_tracker known;
  for (node_id a = 0; a < nodes.size(); ++a)
    for (node_id b = 0; b < nodes.size(); ++b)
      if (const auto link = host_.book->link(nodes[a].life, nodes[b].life))
        known.add_link(a, b, *link);
  in_background([self = shared_from_this(), nodes = std::move(nodes), job = job_, record = record_,
                 copies = find_copies(), known = std::move(known), lock = folder_lock_]() mutable {
    return self->plan(std::move(nodes), std::move(job), std::move(record), copies, std::move(known),
                      std::move(lock));
  });
}

/// After a commit, in the coordinator's turn.
void cluster_job::note_costs(const scheduler::cost_tracker& costs) {
  const auto before = std::exchange(costs_, costs);
  const auto now = now_ns();
  for (node_id a = 0; a < nodes_.size(); ++a) {
    for (stage_id stage = 0; stage < arrangement_.size(); ++stage)
      if (const auto& nodes = arrangement_[stage];
          std::find(nodes.begin(), nodes.end(), a) != nodes.end())
        if (auto seconds = costs.tasks(a)) {
          // Emulated seconds, where those are what counts.
          for (double* x : {&seconds->forward_s, &seconds->loss_s, &seconds->backward_s})
            *x *= time_scale_;
          host_.book->note_tasks(nodes_[a].life, stage, *seconds);
        }
    for (node_id b = 0; b < nodes_.size(); ++b)
      // A link that nobody uses is not measured: what is known of it grows old.
      if (const auto link = costs.link(a, b); link && link != before.link(a, b))
        host_.book->note_link(nodes_[a].life, nodes_[b].life, *link, now);
  }
  if (!std::exchange(instance_kept_, true))
    keep_instance();
}

/// RUN/instance.json: the session's planning problem as it is measured now, for `skippipe plan --instance`.
void cluster_job::keep_instance() {
  if (!measured_)
    return;
  desk_->submit(work_kind::other, [make = measured_, costs = costs_, dir = record_.run_dir] {
    keep_problem(dir, make(costs));
  });
}

/// A plan that has replaced another: with its times, for traces.
void cluster_job::keep_plan(const scheduler::plan& plan, double saves) {
  if (!measured_)
    return;
  keep_instance();
  auto line = "plan " + std::to_string(plan.version);
  if (saves > 0)
    line += " from the next iteration on: as costs are now it saves "
            + std::to_string(std::lround(100 * saves)) + " % of an iteration";
  else
    line += " for the nodes that are left";
  host_.emit(events::note(line));
  desk_->submit(work_kind::other, [make = measured_, costs = costs_, dir = record_.run_dir, plan] {
    const auto timed = scheduler::simulate(make(costs), plan.paths, plan.order);
    // A trace without planned times is better than none.
    std::ignore = trace::write_plan_record(dir, plan, trace::times_of(plan, timed));
  });
}

} // namespace skippipe::runtime::daemon
