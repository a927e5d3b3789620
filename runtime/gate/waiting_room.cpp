#include "runtime/gate/waiting_room.hpp"

namespace skippipe::runtime::gate {

std::uint64_t waiting_room::enter(std::uint64_t id, const std::string& source) {
  auto& fellows = by_source_[source];
  std::uint64_t goes = 0;
  if (fellows.size() >= most_per_source_ && !fellows.empty())
    goes = fellows.begin()->second;
  else if (all_.size() >= most_ && !all_.empty())
    goes = all_.begin()->second;
  fellows.insert({false, id});
  all_.insert({false, id});
  guests_[id] = {source, false};
  return goes;
}

void waiting_room::spoke(std::uint64_t id) {
  const auto it = guests_.find(id);
  if (it == guests_.end() || it->second.spoke)
    return;
  auto& fellows = by_source_[it->second.source];
  fellows.erase({false, id});
  fellows.insert({true, id});
  all_.erase({false, id});
  all_.insert({true, id});
  it->second.spoke = true;
}

void waiting_room::leave(std::uint64_t id) {
  const auto it = guests_.find(id);
  if (it == guests_.end())
    return;
  const rank place{it->second.spoke, id};
  const auto fellows = by_source_.find(it->second.source);
  fellows->second.erase(place);
  if (fellows->second.empty())
    by_source_.erase(fellows);
  all_.erase(place);
  guests_.erase(it);
}

} // namespace skippipe::runtime::gate
