#include "runtime/trace/waits.hpp"

#include <algorithm>
#include <limits>

namespace skippipe::runtime {

using scheduler::task_kind;
using trace::event_kind;

namespace {

// What a node did, by time.
struct node_log {
  std::vector<std::size_t> tasks; // that started, by start
  std::vector<std::int64_t> freed;
};

class wait_finder {
public:
  explicit wait_finder(iteration_view& view) : view_(view) {
    for (std::size_t i = 0; i < view.tasks.size(); ++i)
      if (view.tasks[i].started)
        nodes_[view.tasks[i].node].tasks.push_back(i);
    for (auto& [node, log] : nodes_)
      std::stable_sort(log.tasks.begin(), log.tasks.end(), [&](std::size_t a, std::size_t b) {
        return *view.tasks[a].started < *view.tasks[b].started;
      });
    for (const auto& e : view.events)
      if (e.kind == event_kind::freed)
        nodes_[e.node].freed.push_back(e.time_ns);
    if (view.plan)
      for (const auto& order : view.plan->plan.order) {
        auto& places = places_.emplace_back();
        for (std::size_t i = 0; i < order.size(); ++i)
          places[{order[i].microbatch, order[i].kind}] = i;
      }
  }

  void follow(microbatch_run& m) {
    out_ = &m.spans;
    cursor_ = view_.begin_of(m.attempt);
    const task_run* before = nullptr;
    for (const std::size_t i : m.tasks) {
      const auto& task = view_.tasks[i];
      arrive(task, i, before != nullptr);
      wait(task, i);
      if (!task.started)
        return; // stuck here
      add(task.computed.value_or(view_.end_ns), activity::compute, i);
      if (!task.computed)
        return;
      before = &task;
    }
  }

private:
  void add(std::int64_t end, activity what, std::size_t task) {
    if (end <= cursor_)
      return;
    out_->push_back({cursor_, end, what, task});
    cursor_ = end;
  }

  void arrive(const task_run& task, std::size_t i, bool has_input) {
    if (!has_input)
      return;
    const auto ready = task.received ? task.received : task.queued ? task.queued : task.started;
    const std::int64_t until = ready.value_or(view_.end_ns);
    if (task.kind == task_kind::forward && task.credit)
      add(std::min(*task.credit, until), activity::credit, i);
    add(until, activity::link, i);
  }

  // From the input's arrival to the task's start: the node's other tasks, and the gaps between.
  void wait(const task_run& task, std::size_t i) {
    const std::int64_t until = task.started.value_or(view_.end_ns);
    const auto& log = nodes_[task.node];
    for (const std::size_t other : log.tasks) {
      const auto& o = view_.tasks[other];
      if (other == i || *o.started >= until)
        continue;
      idle(task, i, std::min(*o.started, until));
      add(std::min(o.computed.value_or(until), until), activity::busy, i);
    }
    idle(task, i, until);
  }

  void idle(const task_run& task, std::size_t i, std::int64_t until) {
    if (until <= cursor_)
      return;
    if (task.kind == task_kind::forward) {
      add(std::min(until, turn_of(task, true)), activity::order, i);
      add(std::min(until, slot_of(task)), activity::memory, i);
    }
    // It may also have waited for a task that was due.
    add(std::min(until, turn_of(task, false)), activity::order, i);
    add(until, activity::other, i);
  }

  // When the slot it runs in was freed: the last one before its start. Its turn had come, so
  // nothing else held it (R4).
  std::int64_t slot_of(const task_run& task) {
    const auto& freed = nodes_[task.node].freed;
    const auto after =
        std::upper_bound(freed.begin(), freed.end(), task.started.value_or(view_.end_ns));
    return after == freed.begin() ? std::numeric_limits<std::int64_t>::min() : *(after - 1);
  }

  // When the last task planned before this one on its node began; a forward must let forwards go
  // first (R4).
  std::int64_t turn_of(const task_run& task, bool forwards_only) {
    std::int64_t turn = std::numeric_limits<std::int64_t>::min();
    if (task.node >= places_.size())
      return turn;
    const auto& places = places_[task.node];
    const auto own = places.find({task.microbatch, task.kind});
    if (own == places.end())
      return turn;
    for (const std::size_t other : nodes_[task.node].tasks) {
      const auto& o = view_.tasks[other];
      if (forwards_only && o.kind != task_kind::forward)
        continue;
      const auto place = places.find({o.microbatch, o.kind});
      if (place != places.end() && place->second < own->second)
        turn = std::max(turn, *o.started);
    }
    return turn;
  }

  iteration_view& view_;
  std::map<node_id, node_log> nodes_;
  // Per node, the place of each task in its planned order.
  std::vector<std::map<std::pair<microbatch_id, task_kind>, std::size_t>> places_;
  std::vector<span>* out_ = nullptr;
  std::int64_t cursor_ = 0;
};

} // namespace

void find_waits(iteration_view& view) {
  wait_finder finder(view);
  for (auto& [id, m] : view.microbatches)
    finder.follow(m);
}

} // namespace skippipe::runtime
