#include "runtime/daemon/reloading.hpp"

#include "runtime/config/node_file.hpp"

namespace skippipe::runtime::daemon {

void reload(const daemon_request& request, const logger& log, upload_limits& upload) {
  const auto [fresh, lines] = request.reload();
  for (const auto& line : lines)
    log->warn("{}", line);
  if (!fresh) {
    log->warn("the configuration stays as it was");
    return;
  }
  set_level(log, *fresh);
  upload.set(*fresh);
  log->info("configuration read again: log.level = {}, limits.max_upload_mbps = {}, "
            "transfer.max_share = {}",
            fresh->log_level, fresh->max_upload_mbps, fresh->transfer_share);
  std::string others;
  for (const auto& key : changed_keys(request.config, *fresh))
    if (key != "log.level" && key != "limits.max_upload_mbps" && key != "transfer.max_share")
      others += (others.empty() ? "" : ", ") + key;
  if (!others.empty())
    log->warn("changed in the configuration, but taken over by a restart only: {}", others);
}

} // namespace skippipe::runtime::daemon
