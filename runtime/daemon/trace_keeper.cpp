#include "runtime/daemon/trace_keeper.hpp"

#include <cstring>
#include <utility>

namespace skippipe::runtime::daemon {

trace_keeper::trace_keeper(std::filesystem::path run_dir, session_no session,
                           std::vector<std::string> names)
    : run_dir_(std::move(run_dir)), session_(session), names_(std::move(names)) {}

void trace_keeper::keep(const trace_batch& batch) {
  if (batch.session != session_ || batch.node >= names_.size()
      || batch.events.size() % sizeof(trace::event) != 0)
    return;
  std::vector<trace::event> events(batch.events.size() / sizeof(trace::event));
  std::memcpy(events.data(), batch.events.data(), batch.events.size());
  std::erase_if(events, [&](const trace::event& e) {
    return !trace::well_formed(e) || e.node != batch.node;
  });
  auto found = files_.find(batch.node);
  if (found == files_.end()) {
    found = files_.try_emplace(batch.node).first;
    trace::file_options file;
    file.run_dir = run_dir_;
    if (found->second.open(file, {names_[batch.node], batch.node, 1, session_,
                                  batch.clock_offset_ns, batch.clock_uncertainty_ns})) {
      files_.erase(found);
      return;
    }
  }
  if (std::exchange(offsets_[batch.node], batch.clock_offset_ns) != batch.clock_offset_ns)
    found->second.update_clock(batch.clock_offset_ns, batch.clock_uncertainty_ns);
  found->second.append(events, batch.overwritten);
}

} // namespace skippipe::runtime::daemon
