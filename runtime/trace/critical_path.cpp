#include "runtime/trace/critical_path.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <set>

namespace skippipe::runtime {

using scheduler::task_kind;
using trace::event;
using trace::event_kind;

namespace {

using step_type = critical_step::type;

// Walks from the end to the start, at each step to what the step had to wait for last.
class path_finder {
public:
  explicit path_finder(const iteration_view& view) : view_(view) {
    for (const auto& [id, m] : view.microbatches)
      for (std::size_t i = 0; i < m.tasks.size(); ++i) {
        const auto& t = view.tasks[m.tasks[i]];
        if (!t.started || !t.computed)
          continue;
        by_node_[t.node].push_back(m.tasks[i]);
        if (i > 0)
          before_[m.tasks[i]] = m.tasks[i - 1];
      }
  }

  std::vector<critical_step> find() {
    const auto* last = ending();
    for (const task_run* t = last; t != nullptr;)
      t = step_back(*t);
    std::reverse(path_.begin(), path_.end());
    return std::move(path_);
  }

private:
  const event* last_of(event_kind kind, stage_id stage = trace::no_stage) const {
    const event* found = nullptr;
    for (const auto& e : view_.events)
      if (e.kind == kind && (stage == trace::no_stage || e.stage == stage)
          && (found == nullptr || e.time_ns >= found->time_ns))
        found = &e;
    return found;
  }

  void add(step_type what, node_id node, stage_id stage, std::int64_t begin, std::int64_t end) {
    // Each step ends where the one found before it begins, whatever the nodes' clocks say.
    end = std::min(end, cursor_);
    if (end <= begin)
      return;
    cursor_ = begin;
    critical_step s;
    s.what = what;
    s.node = node;
    s.stage = stage;
    s.begin_ns = begin;
    s.end_ns = end;
    path_.push_back(s);
  }

  void add(step_type what, const task_run& t, std::int64_t begin, std::int64_t end) {
    const auto before = path_.size();
    add(what, t.node, t.stage, begin, end);
    if (path_.size() == before)
      return;
    path_.back().microbatch = t.microbatch;
    path_.back().task = t.kind;
    if (what == step_type::link) {
      path_.back().from = t.from;
      path_.back().bytes = t.bytes_in;
    }
  }

  const task_run* last_task(node_id node, std::int64_t until) const {
    const task_run* found = nullptr;
    if (const auto it = by_node_.find(node); it != by_node_.end())
      for (const std::size_t i : it->second) {
        const auto& t = view_.tasks[i];
        if (*t.computed <= until && (found == nullptr || *t.computed > *found->computed))
          found = &t;
      }
    return found;
  }

  const task_run* last_task_anywhere() const {
    const task_run* found = nullptr;
    for (const auto& [node, tasks] : by_node_)
      for (const std::size_t i : tasks)
        if (found == nullptr || *view_.tasks[i].computed > *found->computed)
          found = &view_.tasks[i];
    return found;
  }

  // Step, commit and the slowest reduction; returns the task that let it begin.
  const task_run* ending() {
    const auto* stepped = last_of(event_kind::step_done);
    const auto* commit = last_of(event_kind::commit_received);
    const auto* reduced = last_of(event_kind::reduced);
    if (stepped != nullptr && commit != nullptr)
      add(step_type::step, stepped->node, stepped->stage, commit->time_ns, stepped->time_ns);
    if (commit != nullptr && reduced != nullptr)
      add(step_type::commit, commit->node, commit->stage, reduced->time_ns, commit->time_ns);
    if (reduced == nullptr)
      return last_task_anywhere();
    // A reduction cannot end before its last replica began.
    const auto* began = last_of(event_kind::reduce_started, reduced->stage);
    if (began == nullptr)
      return last_task(reduced->node, reduced->time_ns);
    add(step_type::reduction, reduced->node, reduced->stage, began->time_ns, reduced->time_ns);
    const auto* t = last_task(began->node, began->time_ns);
    if (t != nullptr)
      add(step_type::wait, began->node, began->stage, *t->computed, began->time_ns);
    return t;
  }

  const task_run* step_back(const task_run& t) {
    const auto index = static_cast<std::size_t>(&t - view_.tasks.data());
    if (!seen_.insert(index).second)
      return nullptr; // clocks that disagree could lead in a circle
    add(step_type::compute, t, *t.started, *t.computed);
    const auto found = before_.find(index);
    const task_run* before = found != before_.end() ? &view_.tasks[found->second] : nullptr;
    if (before != nullptr && (!before->computed || *before->computed > *t.started))
      before = nullptr;
    const std::int64_t arrived = before == nullptr
                                     ? view_.begin_of(t.attempt)
                                     : t.received.value_or(t.queued.value_or(*before->computed));
    // Its node was busy after the input was there: the task that ran until then decided.
    const auto* busy = last_task(t.node, *t.started);
    if (busy == &t) // a task without duration ends where it starts
      busy = nullptr;
    if (busy != nullptr && *busy->computed > arrived) {
      add(step_type::wait, t, *busy->computed, *t.started);
      return busy;
    }
    add(step_type::wait, t, arrived, *t.started);
    if (before == nullptr)
      return nullptr;
    if (t.credit && *t.credit > *before->computed && *t.credit < arrived) {
      add(step_type::link, t, *t.credit, arrived);
      const auto* freeing = last_task(t.node, *t.credit);
      if (freeing != nullptr && freeing->kind == task_kind::backward) {
        add(step_type::memory, t, *freeing->computed, *t.credit);
        return freeing;
      }
      add(step_type::memory, t, *before->computed, *t.credit);
      return before;
    }
    add(step_type::link, t, *before->computed, arrived);
    return before;
  }

  const iteration_view& view_;
  std::map<node_id, std::vector<std::size_t>> by_node_;
  std::map<std::size_t, std::size_t> before_;
  std::set<std::size_t> seen_;
  std::vector<critical_step> path_;
  std::int64_t cursor_ = std::numeric_limits<std::int64_t>::max();
};

} // namespace

std::string_view to_string(critical_step::type what) {
  constexpr std::array<std::string_view, 7> names = {"compute",   "link",   "memory", "wait",
                                                     "reduction", "commit", "step"};
  return names.at(static_cast<std::size_t>(what));
}

std::vector<critical_step> critical_path(const iteration_view& view) {
  return path_finder(view).find();
}

} // namespace skippipe::runtime
