// A daemon's metrics server, where its configuration asks for one.
#pragma once

#include "runtime/daemon/coordinator.hpp"
#include "runtime/daemon/metrics_server.hpp"

#include <atomic>
#include <memory>

namespace skippipe::runtime::daemon {

/// Null without `metrics.listen`. The references outlive the server; `coordinator` may be null.
std::unique_ptr<metrics_server> offer_metrics(const node_config& node, caf::actor_system& system,
                                              local_coordinator_actor coordinator,
                                              const upload_limits& upload,
                                              const std::atomic<bool>& ready);

} // namespace skippipe::runtime::daemon
