// Copies of checkpoints that this node holds in case the scheduler's are lost.
#pragma once

#include "runtime/daemon/files.hpp"

#include <filesystem>

namespace skippipe::runtime::daemon {

/// ROOT/JOB/ID holds the files of one set. Thread-safe, but `take` one at a time.
class copy_shelf {
public:
  /// Finds what earlier lives of this daemon have left.
  explicit copy_shelf(std::filesystem::path root);

  /// Fetches what is missing, verifies all of it, then removes what the order no longer names. Throws
  /// std::runtime_error with one line; then everything older is still here.
  void take(const copy_order& order, const part_fetcher& fetch);
  /// As file_shelf's.
  file_part read(const file_part_request& wanted, std::size_t most = part_bytes) const {
    return files_.read(wanted, most);
  }

private:
  std::filesystem::path root_;
  file_shelf files_;
};

} // namespace skippipe::runtime::daemon
