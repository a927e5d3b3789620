// Which node holds the copy of a checkpoint.
#pragma once

#include "runtime/daemon/messages.hpp"

#include <string>
#include <vector>

namespace skippipe::runtime::daemon {

/// A member that is not the scheduler's own daemon: that one shares its disk.
struct copy_candidate {
  std::string name, host; ///< Where it is reached; empty: unknown, so elsewhere.
  worker_actor worker;
};

struct copy_wishes {
  std::string wanted;         ///< Only this node, where it is not empty.
  std::string current;        ///< Holds the copy so far, and goes on where it is there.
  std::string scheduler_host; ///< Other hosts come first.
};

/// A pure function of its arguments; among equal ones rendezvous hashing decides, so that jobs spread and
/// a node that comes or goes moves few of them. Null where nobody qualifies.
const copy_candidate* choose_holder(const std::vector<copy_candidate>& candidates,
                                    const std::string& job, const copy_wishes& wishes);

} // namespace skippipe::runtime::daemon
