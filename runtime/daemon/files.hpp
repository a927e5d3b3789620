// Sets of files that travel between daemons by their hashes: datasets and checkpoints.
#pragma once

#include "runtime/daemon/caf_error.hpp"
#include "runtime/daemon/messages.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace skippipe::runtime::daemon {

/// Bytes of a file in one message.
inline constexpr std::size_t part_bytes = std::size_t{1} << 20;

/// Names come from other machines: no paths, nothing hidden.
bool is_plain_name(const std::string& name);

/// The files `names` of `folder`, those that are there. Reads all of them. Throws std::runtime_error.
file_set make_file_set(const std::filesystem::path& folder, const std::vector<std::string>& names);

/// What a prepared data folder consists of.
file_set data_files(const std::filesystem::path& folder);
/// What a checkpoint consists of.
file_set checkpoint_files(const std::filesystem::path& folder);

/// Which folder holds which set; thread-safe.
class file_shelf {
public:
  void put(const file_set& set, std::filesystem::path folder);
  void drop(const std::string& id);
  /// At most `most` bytes from the offset on, or an error in one line.
  file_part read(const file_part_request& wanted, std::size_t most = part_bytes) const;

private:
  struct entry {
    file_set set;
    std::filesystem::path folder;
  };
  mutable std::mutex mutex_;
  std::map<std::string, entry> entries_;
};

/// One request and its answer; blocks. Errors throw std::runtime_error with one line.
using part_fetcher = std::function<file_part(const file_part_request&)>;

/// The folder `root`/ID with the set's files: taken as it is where it is there, else fetched part by
/// part beside it, checked and renamed; a fetch that was cut off goes on where it stopped. Throws
/// std::runtime_error with one line.
std::filesystem::path fetch_files(const file_set& set, const std::filesystem::path& root,
                                  const part_fetcher& fetch);

} // namespace skippipe::runtime::daemon
