// How a daemon's compute threads behave.
#pragma once

#include "actors/torch_shard.hpp"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace skippipe::runtime::daemon {

/// Heartbeats must get through a machine that computes as much as it can: compute gives way. Each of its threads
/// calls this once.
inline void yield_to_heartbeats() {
  actors::limit_intra_op_threads(1);
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), 5);
}

} // namespace skippipe::runtime::daemon
