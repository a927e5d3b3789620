#include "runtime/daemon/trace_keeper.hpp"

#include <cstring>
#include <utility>

namespace skippipe::runtime::daemon {

trace_keeper::trace_keeper(std::filesystem::path run_dir, std::string job, session_no session,
                           std::vector<std::string> names, std::shared_ptr<trace_feed> feed)
    : run_dir_(std::move(run_dir)), job_(std::move(job)), session_(session),
      names_(std::make_shared<const std::vector<std::string>>(std::move(names))),
      feed_(std::move(feed)) {}

void trace_keeper::keep(const trace_batch& batch) {
  const bool known = batch.node < names_->size() || batch.node == trace::no_node;
  if (batch.session != session_ || !known || batch.events.size() % sizeof(trace::event) != 0)
    return;
  std::vector<trace::event> events(batch.events.size() / sizeof(trace::event));
  if (!events.empty())
    std::memcpy(events.data(), batch.events.data(), batch.events.size());
  std::erase_if(events, [&](const trace::event& e) {
    return !trace::well_formed(e) || e.node != batch.node;
  });
  {
    const std::lock_guard guard{mutex_};
    auto found = files_.find(batch.node);
    if (found == files_.end()) {
      found = files_.try_emplace(batch.node).first;
      trace::file_options file;
      file.run_dir = run_dir_;
      if (found->second.open(file, {name_of(*names_, batch.node), batch.node, 1, session_,
                                    batch.clock_offset_ns, batch.clock_uncertainty_ns})) {
        files_.erase(found);
        return;
      }
    }
    const auto before = offsets_.find(batch.node);
    if (before != offsets_.end() && before->second != batch.clock_offset_ns)
      found->second.update_clock(batch.clock_offset_ns, batch.clock_uncertainty_ns);
    offsets_[batch.node] = batch.clock_offset_ns;
    found->second.append(events, batch.overwritten);
  }
  for (auto& e : events)
    if (__builtin_add_overflow(e.time_ns, batch.clock_offset_ns, &e.time_ns))
      e.time_ns = 0;
  feed_->publish(job_, names_, events);
}

} // namespace skippipe::runtime::daemon
