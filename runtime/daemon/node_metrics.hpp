// A node's figures in Prometheus' text format.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>

namespace skippipe::runtime::daemon {

struct node_figures {
  std::string name, cluster;
  bool ready = false; ///< Has been a member of its cluster.
  std::uint64_t sent_bytes = 0;
  nlohmann::json
      status; ///< What `skippipe status --json` says; null on a node without the scheduler.
};

/// With the process's own: CPU seconds, resident memory.
std::string metrics_text(const node_figures& figures);

} // namespace skippipe::runtime::daemon
