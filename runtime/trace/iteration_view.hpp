// One iteration as tasks, transfers and what each microbatch waited for.
#pragma once

#include "actors/trace/plan_record.hpp"
#include "runtime/trace/run_trace.hpp"

#include <map>
#include <optional>
#include <vector>

namespace skippipe::runtime {

using time_point = std::optional<std::int64_t>; ///< ns on the scheduler's clock.

/// One task of one attempt of a microbatch, on one node.
struct task_run {
  iteration_no iteration = 0; ///< Of an evaluation its number.
  bool evaluation = false;
  microbatch_id microbatch = 0;
  attempt_no attempt = 0;
  scheduler::task_kind kind = scheduler::task_kind::forward;
  node_id node = 0;
  stage_id stage = trace::no_stage;
  std::uint32_t step = 0;
  std::uint32_t plan = 0;
  time_point received, queued, started, computed, sent;
  node_id from = trace::no_node; ///< Who sent the input.
  node_id to = trace::no_node;   ///< Who was sent the output.
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  /// When its input was allowed to leave: credit granted for it.
  time_point credit;
};

/// One payload on its way. A payload that neither arrived nor was reported lost has neither time.
struct transfer_run {
  std::uint64_t id = 0;
  trace::event sent;
  time_point received;
  trace::event received_event; ///< Valid where `received` is.
  time_point lost;             ///< Reported lost by its sender, or dropped by its receiver.
  trace::reason why = trace::reason::none;
};

/// What a microbatch did with a piece of time.
enum class activity : std::uint8_t {
  compute,
  link,   ///< Its payload was on the way.
  credit, ///< It waited for the receiver's leave: the receiver's memory.
  busy,   ///< Its node ran another task.
  order,  ///< Its node waited for a task planned before it.
  memory, ///< Its node had no free slot.
  other,  ///< None of these: hand-over within the node.
};

inline constexpr std::size_t activities = 7;

std::string_view to_string(activity what);

struct span {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  activity what = activity::other;
  std::size_t task = 0; ///< Index into `iteration_view::tasks`: the task that waits or runs.
};

/// The latest attempt of a microbatch: its tasks in path order and, without gaps, its time.
struct microbatch_run {
  attempt_no attempt = 0;
  std::vector<std::size_t> tasks; ///< Indices, in the order F..F L B..B.
  std::vector<span> spans;
};

struct iteration_view {
  iteration_no iteration = 0;
  std::int64_t begin_ns = 0; ///< Start of the iteration's first attempt.
  std::int64_t end_ns = 0;   ///< Its last commit or step, else its last event.
  std::map<attempt_no, std::int64_t> attempt_begin_ns;
  std::optional<trace::plan_record> plan;
  std::vector<trace::event> events; ///< Of this iteration, by time; no evaluations.
  std::vector<task_run> tasks;      ///< All attempts.
  std::vector<transfer_run> transfers;
  std::map<microbatch_id, microbatch_run> microbatches;
  std::vector<std::string> warnings;

  /// The planned times of a task, seconds after the iteration's start.
  std::optional<trace::task_times> planned(const task_run& task) const;
  /// Where planned times count from: the start of the task's attempt.
  std::int64_t begin_of(attempt_no attempt) const;
};

/// `run` must hold the iteration's events; the plan is read from its folder.
iteration_view view_iteration(const run_trace& run, iteration_no iteration);

/// Transfers that `events` (sorted by time) tell of, in the order of sending.
std::vector<transfer_run> pair_transfers(const std::vector<trace::event>& events);

/// Tasks that `events` (sorted by time) tell of, by the time of their first event.
std::vector<task_run> collect_tasks(const std::vector<trace::event>& events);

} // namespace skippipe::runtime
