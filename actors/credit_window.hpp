// Which inbound activations a node has room for (R4).
#pragma once

#include "actors/task_queue.hpp"

#include <cstddef>
#include <vector>

namespace skippipe::actors {

/// Grants in planned forward order, at most `budget` (>= 1) granted forwards that have not started:
/// early data is bounded, and the planned order's earliest forward always has its credit.
class credit_window {
public:
  credit_window() = default;
  credit_window(const std::vector<node_task>& order, node_id self, std::size_t budget)
      : budget_(budget == 0 ? 1 : budget) {
    for (const auto& task : order)
      if (task.kind == scheduler::task_kind::forward && task.from != self)
        inbound_.push_back(task);
  }

  /// The forwards whose senders get their credit now.
  std::vector<node_task> grant() {
    std::vector<node_task> result;
    while (granted_ < inbound_.size() && granted_ - started_ < budget_)
      result.push_back(inbound_[granted_++]);
    return result;
  }

  void started() { ++started_; } ///< An inbound forward has started: its input leaves the budget.

private:
  std::vector<node_task> inbound_;
  std::size_t budget_ = 1;
  std::size_t granted_ = 0;
  std::size_t started_ = 0;
};

} // namespace skippipe::actors
