// What a daemon does at SIGHUP.
#pragma once

#include "runtime/daemon/daemon_log.hpp"
#include "runtime/daemon/node_daemon.hpp"
#include "runtime/daemon/upload_limits.hpp"

namespace skippipe::runtime::daemon {

/// Reads the configuration again, takes over what can be, and logs that, what is wrong, and which other keys
/// have changed since the daemon was started.
void reload(const daemon_request& request, const logger& log, upload_limits& upload);

} // namespace skippipe::runtime::daemon
