#include "runtime/daemon/link_meter.hpp"

#include <algorithm>

namespace skippipe::runtime::daemon {

void link_meter::note_delay(peer& from, std::int64_t delay_ns) {
  from.delay_ns = from.seen ? std::min(from.delay_ns, delay_ns) : delay_ns;
  from.seen = true;
}

bool link_meter::announces(node_id to, std::int64_t now_ns, std::size_t payload) {
  if (payload < least_payload)
    return false;
  const std::lock_guard guard{mutex_};
  auto& again = announce_again_ns_[to];
  if (now_ns < again)
    return false;
  again = now_ns + announce_every_ns;
  return true;
}

void link_meter::announced(node_id from, std::int64_t sent_ns, std::int64_t now_ns) {
  const std::lock_guard guard{mutex_};
  auto& one = peers_[from];
  note_delay(one, now_ns - sent_ns);
  one.announced_ns = sent_ns;
  one.free_ns =
      now_ns; // Messages come in order: what was sent before is here, or still comes beside it.
}

void link_meter::began(node_id from, std::int64_t sent_ns, std::size_t payload) {
  const std::lock_guard guard{mutex_};
  auto& one = peers_[from];
  constexpr std::size_t most = 256; // Of messages that never end: refused or damaged ones.
  if (payload < least_payload || one.under_way.size() >= most)
    return;
  const bool alone = one.under_way.empty();
  for (auto& [sent, is_alone] : one.under_way)
    is_alone = false;
  one.under_way[sent_ns] = alone;
}

void link_meter::ended(node_id from, std::int64_t sent_ns, std::int64_t now_ns,
                       std::size_t payload) {
  const std::lock_guard guard{mutex_};
  auto& one = peers_[from];
  if (payload == 0)
    note_delay(one, now_ns - sent_ns);
  const auto found = one.under_way.find(sent_ns);
  if (found == one.under_way.end())
    return;
  const auto took = now_ns - one.free_ns;
  if (found->second && sent_ns == one.announced_ns && took > 0) {
    one.bytes += static_cast<double>(payload);
    one.seconds += 1e-9 * static_cast<double>(took);
  }
  one.under_way.erase(found);
}

std::vector<actors::link_sample> link_meter::take() {
  const std::lock_guard guard{mutex_};
  std::vector<actors::link_sample> result;
  for (auto& [node, one] : peers_) {
    if (!one.seen)
      continue;
    result.push_back({node, 1e-9 * static_cast<double>(one.delay_ns),
                      one.seconds > 0 ? one.bytes / one.seconds : 0.0});
    one.seen = false;
    one.bytes = one.seconds = 0;
  }
  return result;
}

} // namespace skippipe::runtime::daemon
