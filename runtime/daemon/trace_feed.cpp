#include "runtime/daemon/trace_feed.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace skippipe::runtime::daemon {

std::string name_of(const std::vector<std::string>& names, node_id node) {
  if (node == trace::no_node)
    return "scheduler";
  return node < names.size() ? names[node] : "node " + std::to_string(node);
}

trace_feed::follower_no trace_feed::open(const std::string& job, const trace_pull& wanted) {
  const std::lock_guard guard{mutex_};
  followers_[++last_] = {job, wanted, {}, 0, 0};
  followed_ = true;
  return last_;
}

void trace_feed::close(follower_no follower) {
  const std::lock_guard guard{mutex_};
  followers_.erase(follower);
  followed_ = !followers_.empty();
}

bool trace_feed::wants(const follower& who, const node_names& names, const trace::event& e) {
  const auto& wanted = who.wanted;
  return (wanted.iteration == 0 || wanted.iteration == e.iteration)
         && (wanted.microbatch == trace::no_microbatch || wanted.microbatch == e.microbatch)
         && (wanted.node.empty() || wanted.node == name_of(*names, e.node));
}

/// The newest are worth most: the oldest make room.
void trace_feed::add(follower& who, block more) {
  who.waiting += more.events.size();
  who.blocks.push_back(std::move(more));
  while (who.waiting > most_waiting) {
    auto& oldest = who.blocks.front().events;
    const auto n = std::min(oldest.size(), who.waiting - most_waiting);
    oldest.erase(oldest.begin(), oldest.begin() + static_cast<std::ptrdiff_t>(n));
    who.waiting -= n;
    who.lost += n;
    if (oldest.empty())
      who.blocks.pop_front();
  }
}

void trace_feed::publish(const std::string& job, const node_names& names,
                         std::span<const trace::event> events) {
  if (!followed_)
    return;
  bool news = false;
  {
    const std::lock_guard guard{mutex_};
    for (auto& [number, who] : followers_) {
      if (who.job != job)
        continue;
      block more{names, {}};
      for (const auto& e : events)
        if (wants(who, names, e))
          more.events.push_back(e);
      if (more.events.empty())
        continue;
      news |= who.waiting == 0;
      add(who, std::move(more));
    }
  }
  if (news)
    on_news_();
}

trace_events trace_feed::take(follower_no number) {
  trace_events result;
  const std::lock_guard guard{mutex_};
  const auto found = followers_.find(number);
  if (found == followers_.end())
    return result;
  auto& who = found->second;
  result.job = who.job;
  result.lost = who.lost;
  std::vector<trace::event> taken;
  node_names names;
  while (!who.blocks.empty() && taken.size() < most_at_once) {
    auto& oldest = who.blocks.front();
    if (names && names != oldest.names)
      break;
    names = oldest.names;
    const auto n = std::min(oldest.events.size(), most_at_once - taken.size());
    const auto end = oldest.events.begin() + static_cast<std::ptrdiff_t>(n);
    taken.insert(taken.end(), oldest.events.begin(), end);
    oldest.events.erase(oldest.events.begin(), end);
    if (oldest.events.empty())
      who.blocks.pop_front();
  }
  who.waiting -= taken.size();
  if (names)
    result.nodes = *names;
  result.events.resize(taken.size() * sizeof(trace::event));
  if (!taken.empty())
    std::memcpy(result.events.data(), taken.data(), result.events.size());
  return result;
}

} // namespace skippipe::runtime::daemon
