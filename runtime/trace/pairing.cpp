// Events of single moments, put together into tasks and transfers.
#include "runtime/trace/iteration_view.hpp"

#include <algorithm>
#include <set>
#include <tuple>
#include <unordered_map>

namespace skippipe::runtime {

using scheduler::task_kind;
using trace::event;
using trace::event_kind;

namespace {

using task_key = std::tuple<iteration_no, node_id, microbatch_id, attempt_no, task_kind>;

task_key key_of(const event& e, task_kind kind) {
  return {e.iteration, e.node, e.microbatch, e.attempt, kind};
}

bool of_task(const event& e) {
  switch (e.kind) {
    case event_kind::planned:
    case event_kind::queued:
    case event_kind::started:
    case event_kind::computed:
    case event_kind::sent:
    case event_kind::received:
      return e.microbatch != trace::no_microbatch;
    default:
      return false;
  }
}

// The task that a received payload feeds, whether the receiver named that or the sender's task:
// an origin runs L on what a forward sent it, and no other node runs L.
task_kind fed_by(const event& e, const std::set<task_key>& losses) {
  const bool origin = losses.count(key_of(e, task_kind::loss)) > 0;
  if (e.task == task_kind::forward && origin)
    return task_kind::loss;
  if (e.task == task_kind::loss && !origin)
    return task_kind::backward;
  return e.task;
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
  switch (e.kind) {
    case event_kind::queued:
      first(task.queued);
      task.step = e.step;
      break;
    case event_kind::started:
      first(task.started);
      task.step = e.step;
      break;
    case event_kind::computed:
      first(task.computed);
      break;
    case event_kind::sent:
      first(task.sent);
      task.to = e.peer;
      task.bytes_out = e.bytes;
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
  std::set<task_key> losses;
  for (const auto& e : events)
    if (of_task(e) && e.task == task_kind::loss
        && (e.kind == event_kind::started || e.kind == event_kind::planned))
      losses.insert(key_of(e, task_kind::loss));

  std::vector<task_run> tasks;
  std::map<task_key, std::size_t> index;
  for (const auto& e : events) {
    if (!of_task(e))
      continue;
    const auto kind = e.kind == event_kind::received ? fed_by(e, losses) : e.task;
    const auto [it, fresh] = index.try_emplace(key_of(e, kind), tasks.size());
    if (fresh) {
      auto& task = tasks.emplace_back();
      task.iteration = e.iteration;
      task.microbatch = e.microbatch;
      task.attempt = e.attempt;
      task.kind = kind;
      task.node = e.node;
    }
    fill(tasks[it->second], e);
  }
  // Leave to send: what the receiver granted, corrected by when the sender heard of it.
  for (const auto& e : events) {
    const bool granted = e.kind == event_kind::credit_granted;
    if (!granted && e.kind != event_kind::credit_received)
      continue;
    auto key = key_of(e, task_kind::forward);
    if (!granted)
      std::get<1>(key) = e.peer;
    if (const auto it = index.find(key); it != index.end()) {
      auto& credit = tasks[it->second].credit;
      credit = std::max(credit.value_or(e.time_ns), e.time_ns);
    }
  }
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
