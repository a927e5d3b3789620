#include "runtime/daemon/daemon_log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>

namespace skippipe::runtime::daemon {

logger make_log(const node_config& config) {
  auto log = spdlog::stderr_color_mt(config.name);
  log->set_pattern("%Y-%m-%dT%H:%M:%S.%e %n %l: %v");
  log->flush_on(spdlog::level::info);
  return log;
}

void set_level(const logger& log, const node_config& config) {
  log->set_level(spdlog::level::from_str(config.log_level));
}

} // namespace skippipe::runtime::daemon
