// Events of single moments, put together into tasks and transfers.
#include "runtime/trace/iteration_view.hpp"

#include <algorithm>
#include <tuple>
#include <unordered_map>

namespace skippipe::runtime {

using scheduler::task_kind;
using trace::event;
using trace::event_kind;

namespace {

// A pass of a microbatch over one node, and its tasks there by kind or by step.
using pass_key = std::tuple<iteration_no, std::uint8_t, node_id, microbatch_id, attempt_no>;
using kind_key = std::pair<pass_key, task_kind>;
using step_key = std::pair<pass_key, std::uint32_t>;

pass_key key_of(const event& e, node_id node) {
  return {e.iteration, e.evaluation, node, e.microbatch, e.attempt};
}

bool of_task(const event& e) {
  switch (e.kind) {
    case event_kind::planned:
    case event_kind::queued:
    case event_kind::started:
    case event_kind::computed:
    case event_kind::received:
      return e.microbatch != trace::no_microbatch;
    default:
      return false;
  }
}

void fill(task_run& task, const event& e) {
  auto first = [&](time_point& at) {
    if (!at)
      at = e.time_ns;
  };
  if (e.stage != trace::no_stage)
    task.stage = e.stage;
  if (e.plan != 0)
    task.plan = e.plan;
  if (e.kind != event_kind::planned) // a plan's order counts no steps
    task.step = e.step;
  switch (e.kind) {
    case event_kind::queued:
      first(task.queued);
      break;
    case event_kind::started:
      first(task.started);
      break;
    case event_kind::computed:
      first(task.computed);
      break;
    case event_kind::received:
      first(task.received);
      task.from = e.peer;
      task.bytes_in = e.bytes;
      break;
    default:
      break;
  }
}

// What a task sent belongs to the task one step before the one it feeds.
void add_outputs(const std::vector<event>& events, std::vector<task_run>& tasks,
                 const std::map<kind_key, std::size_t>& index) {
  std::map<step_key, std::size_t> by_step;
  for (const auto& [key, i] : index)
    if (tasks[i].started) // until then its step may not be known
      by_step[{key.first, tasks[i].step}] = i;
  for (const auto& e : events) {
    if (e.kind != event_kind::sent || e.microbatch == trace::no_microbatch)
      continue;
    const auto it = by_step.find({key_of(e, e.node), e.step - 1});
    if (it == by_step.end() || tasks[it->second].sent)
      continue;
    auto& task = tasks[it->second];
    task.sent = e.time_ns;
    task.to = e.peer;
    task.bytes_out = e.bytes;
  }
}

// Leave to send: what the receiver granted, corrected by when the sender heard of it.
void add_credits(const std::vector<event>& events, std::vector<task_run>& tasks,
                 const std::map<kind_key, std::size_t>& index) {
  for (const auto& e : events) {
    node_id receiver = e.node;
    if (e.kind == event_kind::credit_received) {
      const auto sender = index.find({key_of(e, e.node), task_kind::forward});
      if (sender == index.end())
        continue;
      receiver = tasks[sender->second].to;
    } else if (e.kind != event_kind::credit_granted) {
      continue;
    }
    if (const auto it = index.find({key_of(e, receiver), task_kind::forward}); it != index.end()) {
      auto& credit = tasks[it->second].credit;
      credit = std::max(credit.value_or(e.time_ns), e.time_ns);
    }
  }
}

bool sends(const event& e) {
  return e.transfer != 0
         && (e.kind == event_kind::sent || e.kind == event_kind::reduce_sent
             || e.kind == event_kind::commit_sent);
}

bool receives(const event& e) {
  return e.transfer != 0
         && (e.kind == event_kind::received || e.kind == event_kind::reduce_received
             || e.kind == event_kind::commit_received);
}

} // namespace

std::vector<task_run> collect_tasks(const std::vector<event>& events) {
  std::vector<task_run> tasks;
  std::map<kind_key, std::size_t> index;
  for (const auto& e : events) {
    if (!of_task(e))
      continue;
    const auto [it, fresh] = index.try_emplace({key_of(e, e.node), e.task}, tasks.size());
    if (fresh) {
      auto& task = tasks.emplace_back();
      task.iteration = e.iteration;
      task.evaluation = e.evaluation != 0;
      task.microbatch = e.microbatch;
      task.attempt = e.attempt;
      task.kind = e.task;
      task.node = e.node;
    }
    fill(tasks[it->second], e);
  }
  add_outputs(events, tasks, index);
  add_credits(events, tasks, index);
  return tasks;
}

std::vector<transfer_run> pair_transfers(const std::vector<event>& events) {
  std::vector<transfer_run> transfers;
  std::unordered_map<std::uint64_t, std::size_t> index; // looked up only, never iterated
  for (const auto& e : events)
    if (sends(e) && index.try_emplace(e.transfer, transfers.size()).second) {
      auto& t = transfers.emplace_back();
      t.id = e.transfer;
      t.sent = e;
    }
  // A second pass: by their own clocks a receiver may be ahead of its sender.
  for (const auto& e : events) {
    if (e.transfer == 0)
      continue;
    const auto it = index.find(e.transfer);
    if (it == index.end())
      continue;
    auto& t = transfers[it->second];
    if (receives(e) && !t.received) {
      t.received = e.time_ns;
      t.received_event = e;
    } else if ((e.kind == event_kind::lost || e.kind == event_kind::dropped) && !t.lost) {
      t.lost = e.time_ns;
      t.why = e.why;
    }
  }
  return transfers;
}

} // namespace skippipe::runtime
