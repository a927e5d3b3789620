#include "actors/ledger.hpp"

#include <algorithm>

namespace skippipe::actors {

ledger::ledger(const scheduler::plan& plan) : planned_(plan.arrangement.size()) {
  for (const auto& path : plan.paths) {
    planned_[0].push_back(path.microbatch);
    for (const auto& hop : path.hops)
      planned_[hop.stage].push_back(path.microbatch);
  }
  for (auto& stage : planned_)
    std::sort(stage.begin(), stage.end());
}

void ledger::add(const reduced& report) {
  added_[report.stage].insert_or_assign(report.node, report.contributions);
}

std::string ledger::imbalance() const {
  for (stage_id stage = 0; stage < planned_.size(); ++stage) {
    std::vector<microbatch_id> added;
    if (auto found = added_.find(stage); found != added_.end())
      for (const auto& [node, ids] : found->second)
        added.insert(added.end(), ids.begin(), ids.end());
    std::sort(added.begin(), added.end());
    if (added == planned_[stage])
      continue;
    auto where = "stage " + std::to_string(stage) + ": ";
    if (auto twice = std::adjacent_find(added.begin(), added.end()); twice != added.end())
      return where + "microbatch " + std::to_string(*twice) + " was added twice";
    for (auto id : planned_[stage])
      if (!std::binary_search(added.begin(), added.end(), id))
        return where + "microbatch " + std::to_string(id) + " was not added";
    for (auto id : added)
      if (!std::binary_search(planned_[stage].begin(), planned_[stage].end(), id))
        return where + "microbatch " + std::to_string(id) + " was added against the plan";
  }
  return {};
}

} // namespace skippipe::actors
