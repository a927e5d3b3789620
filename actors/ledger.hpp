// The ledger of one iteration: each (iteration, microbatch, stage) counts exactly once (R5).
#pragma once

#include "actors/protocol/messages.hpp"

#include <map>
#include <string>
#include <vector>

namespace skippipe::actors {

/// Compares what the replicas say they added with what the plan asked for.
class ledger {
public:
  ledger() = default;
  explicit ledger(const scheduler::plan& plan);

  /// Adds a replica's report; the same node's later report of the iteration replaces the earlier.
  void add(const reduced& report);

  /// Empty where every planned (microbatch, stage) was added exactly once and by nobody unplanned;
  /// else the first difference in words.
  std::string imbalance() const;

private:
  std::vector<std::vector<microbatch_id>> planned_; ///< Per stage, ascending.
  std::map<stage_id, std::map<node_id, std::vector<microbatch_id>>> added_;
};

} // namespace skippipe::actors
