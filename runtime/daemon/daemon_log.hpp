// A daemon's log: stderr, one line an event.
#pragma once

#include "runtime/config/node_config.hpp"

#include <spdlog/spdlog.h>

#include <memory>

namespace skippipe::runtime::daemon {

using logger = std::shared_ptr<spdlog::logger>;

logger make_log(const node_config& config);
void set_level(const logger& log, const node_config& config);

} // namespace skippipe::runtime::daemon
