// A job's checkpoint from a node's copy, where the scheduler's own are missing or damaged.
#pragma once

#include "runtime/daemon/files.hpp"
#include "runtime/daemon/job_record.hpp"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace skippipe::runtime::daemon {

struct copy_source {
  held_copy copy;
  part_fetcher fetch; ///< Empty: its node is not here.
};

/// Sees to it that RUN_DIR/checkpoints holds the newest checkpoint that can be had, before anything
/// reads there: fetches it where a copy is newer than what verifies. Returns the nodes to wait for,
/// which hold the only copies that are left; none: go on. Throws std::runtime_error with one line where
/// there were copies and none of them, nor anything here, verifies.
std::vector<std::string> recover_checkpoint(const std::filesystem::path& run_dir,
                                            const std::vector<copy_source>& copies,
                                            const std::function<void(const std::string&)>& note);

} // namespace skippipe::runtime::daemon
