// A child process whose standard output is read line by line and whose errors go to a file.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace skippipe::runtime::daemon {

class child_process {
public:
  /// Starts `words` in a process group of its own; it is terminated when this process dies. Throws
  /// std::runtime_error.
  child_process(const std::vector<std::string>& words, const std::filesystem::path& log);
  ~child_process(); ///< Kills it.
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;

  pid_t pid() const { return pid_; }
  int output() const { return output_; } ///< To poll; -1 after its end.
  /// What has come: whole lines. False at the end of the output.
  bool read_lines(std::vector<std::string>& lines);
  void signal(int number) const;
  /// True once it has ended; `status` is its exit code, or 128 + the signal.
  bool ended(int& status);

private:
  pid_t pid_ = -1;
  int output_ = -1;
  std::string partial_;
};

} // namespace skippipe::runtime::daemon
