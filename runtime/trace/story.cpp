#include "runtime/trace/story.hpp"

#include <algorithm>
#include <set>

namespace skippipe::runtime {

using scheduler::task_kind;
using trace::event_kind;

namespace {

double seconds_after(std::int64_t begin_ns, std::int64_t at_ns) {
  return static_cast<double>(at_ns - begin_ns) / 1e9;
}

std::vector<stage_story> stages_of(const iteration_view& view, const story& s) {
  std::map<std::pair<stage_id, node_id>, stage_story> found;
  for (const auto& hop : s.hops) {
    auto& entry = found[{hop.task.stage, hop.task.node}];
    entry.stage = hop.task.stage;
    entry.node = hop.task.node;
  }
  for (const auto& e : view.events)
    for (auto& [key, entry] : found) {
      if (e.node != entry.node)
        continue;
      const double at = seconds_after(s.begin_ns, e.time_ns);
      // The last of each: a reduction may have been repeated.
      if (e.kind == event_kind::freed && e.microbatch == s.microbatch && e.attempt == s.attempt)
        entry.freed_s = at;
      else if (e.kind == event_kind::reduce_started)
        entry.reduce_started_s = at;
      else if (e.kind == event_kind::reduced)
        entry.reduced_s = at;
      else if (e.kind == event_kind::reduce_sent)
        entry.reduced_bytes += e.bytes;
      else if (e.kind == event_kind::commit_received)
        entry.committed_s = at;
      else if (e.kind == event_kind::step_done)
        entry.stepped_s = at;
    }
  std::vector<stage_story> out;
  for (const auto& [key, entry] : found)
    out.push_back(entry);
  return out;
}

std::string task_name(const task_run& t) {
  std::string out(trace::to_string(t.kind));
  return t.stage == trace::no_stage ? out : out + " of stage " + std::to_string(t.stage);
}

std::string missing_commit(const run_trace& run, const story& s) {
  std::string waiting;
  std::string unreduced;
  for (const auto& stage : s.stages) {
    auto& list = stage.reduced_s ? waiting : unreduced;
    if (!stage.committed_s)
      list += (list.empty() ? "" : ", ") + run.name(stage.node);
  }
  if (!unreduced.empty())
    return "all its tasks ran; gradients are not reduced on " + unreduced;
  return waiting.empty() ? "" : "all its tasks ran; no commit has reached " + waiting;
}

// What a microbatch has not got past; empty when it is committed.
std::string where_stuck(const run_trace& run, const iteration_view& view, const story& s) {
  const task_run* last = nullptr;
  for (const auto& hop : s.hops) {
    const auto& t = hop.task;
    if (t.received || t.queued || t.started)
      last = &t;
  }
  if (last == nullptr)
    return "it never started";
  const auto& t = *last;
  const auto at = task_name(t) + " on " + run.name(t.node);
  if (t.started && !t.computed)
    return at + " started and never ended";
  if (!t.started)
    return at + " has its input but never started";
  const bool first_stage = t.stage == 0 || s.hops.front().task.node == t.node;
  if (t.kind == task_kind::backward && first_stage)
    return missing_commit(run, s);
  if (!t.sent) {
    // With no hop beyond the origin nothing is sent.
    return at + " is done and its result was never sent";
  }
  for (const auto& transfer : view.transfers)
    if (transfer.sent.node == t.node && transfer.sent.microbatch == s.microbatch
        && transfer.sent.attempt == s.attempt && transfer.sent.step == t.step + 1 && transfer.lost)
      return "its way from " + run.name(t.node) + " to " + run.name(t.to) + " after " + task_name(t)
             + " was lost (" + std::string(trace::to_string(transfer.why)) + ")";
  return "sent by " + run.name(t.node) + " after " + task_name(t) + " and never received by "
         + run.name(t.to);
}

} // namespace

std::variant<story, std::string> tell_story(const run_trace& run, const iteration_view& view,
                                            microbatch_id microbatch) {
  if (view.events.empty())
    return missing_iteration(run, view.iteration);
  const auto found = view.microbatches.find(microbatch);
  if (found == view.microbatches.end()) {
    std::vector<std::uint64_t> ids;
    for (const auto& [id, m] : view.microbatches)
      ids.push_back(id);
    return "microbatch " + std::to_string(microbatch) + " is not in the trace of iteration "
           + std::to_string(view.iteration) + ": it holds microbatches " + ranges_text(ids);
  }
  const auto& m = found->second;
  story s;
  s.iteration = view.iteration;
  s.microbatch = microbatch;
  s.attempt = m.attempt;
  s.begin_ns = view.begin_of(m.attempt);
  if (view.plan) {
    s.plan = view.plan->plan.version;
    s.strategy = view.plan->plan.strategy;
  }
  std::set<attempt_no> attempts;
  for (const auto& t : view.tasks)
    if (t.microbatch == microbatch)
      attempts.insert(t.attempt);
  s.attempts = attempts.size();
  for (const std::size_t i : m.tasks) {
    auto& hop = s.hops.emplace_back();
    hop.task = view.tasks[i];
    hop.planned = view.planned(hop.task);
    for (const auto& span : m.spans)
      if (span.task == i)
        hop.seconds[static_cast<std::size_t>(span.what)] += seconds_after(span.begin, span.end);
  }
  s.stages = stages_of(view, s);
  for (const auto& e : view.events)
    if (e.microbatch == microbatch && (e.kind == event_kind::dropped || e.kind == event_kind::lost))
      s.drops.push_back({seconds_after(s.begin_ns, e.time_ns), e.node, e.attempt,
                         e.kind == event_kind::lost, e.why});
  s.stuck = where_stuck(run, view, s);
  return s;
}

} // namespace skippipe::runtime
