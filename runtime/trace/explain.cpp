#include "runtime/trace/explain.hpp"

#include "runtime/trace/advice.hpp"

#include <algorithm>
#include <set>

namespace skippipe::runtime {

using trace::event_kind;

namespace {

// Adds up one node's time, from the iteration's start on and without gaps.
class node_clock {
public:
  node_clock(const iteration_view& view, node_id node) : view_(view), cursor_(view.begin_ns) {
    out_.node = node;
    for (std::size_t i = 0; i < view.tasks.size(); ++i)
      if (view.tasks[i].node == node && view.tasks[i].started)
        tasks_.push_back(i);
    std::stable_sort(tasks_.begin(), tasks_.end(), [&](std::size_t a, std::size_t b) {
      return *view.tasks[a].started < *view.tasks[b].started;
    });
  }

  bool worked() const { return !tasks_.empty(); }

  node_time read() {
    for (const std::size_t i : tasks_) {
      const auto& t = view_.tasks[i];
      if (t.stage != trace::no_stage)
        out_.stage = t.stage;
      const auto latest = view_.microbatches.at(t.microbatch).attempt;
      if (t.attempt == latest) {
        gap(t, *t.started);
        spend(t.computed.value_or(view_.end_ns), share::compute);
      } else {
        // A given-up task that never ended was cut off by the attempt after it.
        spend(t.computed.value_or(view_.begin_of(latest)), share::recovery);
      }
    }
    after_tasks();
    spend(view_.end_ns, share::idle);
    return out_;
  }

private:
  void spend(std::int64_t until, share s) {
    until = std::min(until, view_.end_ns);
    if (until <= cursor_)
      return;
    out_.seconds[static_cast<std::size_t>(s)] += static_cast<double>(until - cursor_) / 1e9;
    cursor_ = until;
  }

  // Idle until task `t` began: what its microbatch did meanwhile.
  void gap(const task_run& t, std::int64_t until) {
    const auto& m = view_.microbatches.at(t.microbatch);
    spend(std::min(view_.begin_of(m.attempt), until), share::recovery);
    for (const auto& s : m.spans) {
      if (s.begin >= until)
        break;
      const bool here = view_.tasks[s.task].node == t.node;
      spend(std::min(s.end, until), reason_of(s.what, here));
    }
    spend(until, share::idle);
  }

  static share reason_of(activity what, bool here) {
    switch (what) {
      case activity::link:
        return share::wait_link;
      case activity::credit:
      case activity::memory:
        return share::memory_full;
      case activity::busy:
      case activity::order:
        return here ? share::idle : share::collision;
      default:
        return share::idle;
    }
  }

  void after_tasks() {
    time_point reducing, reduced, commit, step, stepped;
    for (const auto& e : view_.events) {
      if (e.node != out_.node)
        continue;
      if (e.kind == event_kind::reduce_started)
        reducing = e.time_ns;
      else if (e.kind == event_kind::reduced)
        reduced = e.time_ns;
      else if (e.kind == event_kind::commit_received)
        commit = e.time_ns;
      else if (e.kind == event_kind::step_started)
        step = e.time_ns;
      else if (e.kind == event_kind::step_done)
        stepped = e.time_ns;
    }
    const auto until = [&](const time_point& at, share s) {
      if (at)
        spend(*at, s);
    };
    until(reducing, share::idle);
    until(reduced, share::reduction);
    until(commit, share::commit);
    until(step, share::idle);
    until(stepped, share::compute);
  }

  const iteration_view& view_;
  std::int64_t cursor_;
  std::vector<std::size_t> tasks_;
  node_time out_;
};

} // namespace

std::string_view to_string(share s) {
  constexpr std::array<std::string_view, shares> names = {"compute",   "wait_link", "memory_full",
                                                          "collision", "reduction", "commit",
                                                          "idle",      "recovery"};
  return names.at(static_cast<std::size_t>(s));
}

explanation explain(const run_trace& run, const iteration_view& view) {
  explanation x;
  x.iteration = view.iteration;
  x.begin_ns = view.begin_ns;
  x.makespan_s = static_cast<double>(view.end_ns - view.begin_ns) / 1e9;
  x.path = critical_path(view);
  std::set<node_id> nodes;
  for (const auto& t : view.tasks)
    nodes.insert(t.node);
  for (const node_id node : nodes)
    if (node_clock clock(view, node); clock.worked())
      x.nodes.push_back(clock.read());
  x.advice = give_advice(run, view, x);
  return x;
}

} // namespace skippipe::runtime
