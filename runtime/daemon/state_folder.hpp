// What a daemon keeps between its lives.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace skippipe::runtime::daemon {

/// A folder that belongs to one running daemon at a time.
class state_folder {
public:
  /// Makes it where it is missing. Throws std::runtime_error with one line, also while another daemon
  /// uses it.
  explicit state_folder(std::filesystem::path path);
  ~state_folder();
  state_folder(const state_folder&) = delete;
  state_folder& operator=(const state_folder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  /// The next number of the counter `name`, from 1; durable before it is returned.
  std::uint64_t next(const std::string& name) const;

private:
  std::filesystem::path path_;
  int lock_ = -1;
};

} // namespace skippipe::runtime::daemon
