// Which of a node's tasks may start now: the planned order with R4's overtaking rule.
#pragma once

#include "actors/protocol/messages.hpp"

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

namespace skippipe::actors {

/// The tasks of one node in one iteration. Pure logic, no clock, no actor.
///
/// R4: forwards start in planned order; loss and backward start whenever ready; a forward overtakes
/// only while slots beyond the planned peak are free, one per overtaken forward. So the planned
/// order's earliest unfinished task always finds its slot: forwards planned before it hold less
/// than the planned peak, and overtakers hold no more than what lies beyond the peak.
///
/// Where the plan says when tasks are due, one that could overtake waits a moment for one planned earlier
/// that is about to become ready: started a millisecond too soon, it would put that one off for all it lasts.
class task_queue {
public:
  task_queue() = default;
  task_queue(std::vector<node_task> order, std::uint32_t memory);

  /// Index in planned order of the task, or nullopt where the plan has no such task here.
  std::optional<std::size_t> find(microbatch_id id, scheduler::task_kind kind) const;

  void make_ready(std::size_t index); ///< Its input is here. Once per task.
  /// The ready task that is planned earliest among those that may start; its state becomes running.
  std::optional<std::size_t> start_next();
  void finish(std::size_t index); ///< A backward frees its slot.

  /// The iteration began, or the task just started, at `now_ns`: by that what is due follows.
  void began(std::int64_t now_ns) { shift_ns_ = now_ns; }
  void started_at(std::size_t index, std::int64_t now_ns);
  /// Until when (by the same clock) it is better to start nothing; nullopt: start the next task.
  std::optional<std::int64_t> wait_until(std::int64_t now_ns);

  const node_task& task(std::size_t index) const { return order_[index]; }
  std::size_t size() const { return order_.size(); }
  bool all_done() const { return done_ == order_.size(); }
  bool waiting(std::size_t index) const { return state_[index] == state::waiting; }
  std::uint32_t held() const { return held_; }           ///< Microbatches in flight.
  std::uint32_t peak_held() const { return peak_held_; } ///< Most that were in flight at once.
  std::uint32_t planned_peak() const { return planned_peak_; }
  const std::vector<std::size_t>& started() const { return started_; } ///< In the executed order.

private:
  enum class state : std::uint8_t { waiting, ready, running, done };

  bool may_start(std::size_t index) const;
  std::set<std::size_t>::const_iterator next() const;

  std::vector<node_task> order_;
  std::vector<state> state_;
  std::vector<std::vector<std::int32_t>> by_id_; ///< [kind][id] -> index or -1.
  std::set<std::size_t> ready_;
  std::set<std::size_t> unstarted_forwards_;
  std::set<microbatch_id> overtakers_; ///< Held slots whose forward overtook another.
  std::vector<std::size_t> started_;
  std::size_t first_waiting_ = 0;          ///< None before it waits for its input.
  std::int64_t shift_ns_ = 0;              ///< From due times to those of the clock.
  std::optional<std::int64_t> give_up_ns_; ///< Until when that one is or was waited for.
  std::size_t done_ = 0;
  std::uint32_t memory_ = 1;
  std::uint32_t planned_peak_ = 0;
  std::uint32_t held_ = 0;
  std::uint32_t peak_held_ = 0;
};

} // namespace skippipe::actors
