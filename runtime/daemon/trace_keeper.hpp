// Writes a job's trace into its run folder, for all of its nodes, and shows it to those who follow.
#pragma once

#include "actors/trace/file.hpp"
#include "runtime/daemon/messages.hpp"
#include "runtime/daemon/trace_feed.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace skippipe::runtime::daemon {

/// Any thread.
class trace_keeper {
public:
  trace_keeper(std::filesystem::path run_dir, std::string job, session_no session,
               std::vector<std::string> names, std::shared_ptr<trace_feed> feed);
  /// From a node, or from the job's scheduler. A trace that cannot be written must not stop training:
  /// what fails is counted as lost.
  void keep(const trace_batch& batch);

private:
  const std::filesystem::path run_dir_;
  const std::string job_;
  const session_no session_;
  const trace_feed::node_names names_;
  const std::shared_ptr<trace_feed> feed_;
  std::mutex mutex_;
  std::map<node_id, trace::file_writer> files_;
  std::map<node_id, std::int64_t> offsets_; ///< Of the clocks, as last written.
};

} // namespace skippipe::runtime::daemon
