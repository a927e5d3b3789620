// Writes the nodes' traces into a run folder, in the place of the nodes that have no such folder.
#pragma once

#include "actors/trace/file.hpp"
#include "runtime/daemon/messages.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace skippipe::runtime::daemon {

/// One thread at a time.
class trace_keeper {
public:
  trace_keeper(std::filesystem::path run_dir, session_no session, std::vector<std::string> names);
  /// A trace that cannot be written must not stop training: what fails is counted as lost.
  void keep(const trace_batch& batch);

private:
  const std::filesystem::path run_dir_;
  const session_no session_;
  const std::vector<std::string> names_; ///< By node number.
  std::map<node_id, trace::file_writer> files_;
  std::map<node_id, std::int64_t> offsets_; ///< Of the clocks, as last written.
};

} // namespace skippipe::runtime::daemon
