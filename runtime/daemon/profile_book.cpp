#include "runtime/daemon/profile_book.hpp"

namespace skippipe::runtime::daemon {

using nlohmann::json;

void profile_book::note_tasks(life_no node, stage_id stage, const scheduler::task_costs& seconds) {
  tasks_[node] = {stage, seconds};
}

void profile_book::note_link(life_no from, life_no to, const scheduler::link_figures& seen,
                             std::int64_t now_ns) {
  auto& entry = links_[{from, to}];
  if (seen.latency_s > 0)
    entry.figures.latency_s = seen.latency_s;
  if (seen.bandwidth_Bps > 0)
    entry.figures.bandwidth_Bps = seen.bandwidth_Bps;
  entry.at_ns = now_ns;
}

void profile_book::note_clock(life_no node, std::int64_t offset_ns, std::int64_t uncertainty_ns) {
  clocks_[node] = {offset_ns, uncertainty_ns};
}

void profile_book::forget(life_no node) {
  tasks_.erase(node);
  clocks_.erase(node);
  std::erase_if(links_, [node](const auto& entry) {
    return entry.first.first == node || entry.first.second == node;
  });
}

bool profile_book::is_fresh(life_no from, life_no to, std::int64_t now_ns, double age_s) const {
  const auto found = links_.find({from, to});
  return found != links_.end() && found->second.figures.bandwidth_Bps > 0
         && static_cast<double>(now_ns - found->second.at_ns) < 1e9 * age_s;
}

std::optional<scheduler::link_figures> profile_book::link(life_no from, life_no to) const {
  const auto found = links_.find({from, to});
  return found == links_.end() ? std::nullopt : std::optional{found->second.figures};
}

json profile_book::of(life_no node, const std::map<life_no, std::string>& others) const {
  json result = json::object();
  if (const auto found = tasks_.find(node); found != tasks_.end()) {
    result["stage"] = found->second.stage;
    result["forward_s"] = found->second.seconds.forward_s;
    result["loss_s"] = found->second.seconds.loss_s;
    result["backward_s"] = found->second.seconds.backward_s;
  }
  std::size_t count = 0;
  const std::pair<const std::pair<life_no, life_no>, link_entry>* slowest = nullptr;
  for (auto at = links_.lower_bound({node, 0}); at != links_.end() && at->first.first == node;
       ++at) {
    if (!others.contains(at->first.second))
      continue;
    ++count;
    if (slowest == nullptr
        || at->second.figures.bandwidth_Bps < slowest->second.figures.bandwidth_Bps)
      slowest = &*at;
  }
  result["links"] = count;
  if (slowest != nullptr)
    result["slowest"] = {{"peer", others.at(slowest->first.second)},
                         {"latency_s", slowest->second.figures.latency_s},
                         {"bandwidth_Bps", slowest->second.figures.bandwidth_Bps}};
  if (const auto found = clocks_.find(node); found != clocks_.end()) {
    result["clock_offset_s"] = 1e-9 * static_cast<double>(found->second.offset_ns);
    result["clock_uncertainty_s"] = 1e-9 * static_cast<double>(found->second.uncertainty_ns);
  }
  return result;
}

} // namespace skippipe::runtime::daemon
