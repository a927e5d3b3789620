// The program as a user runs it from a shell.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <stdexcept>
#include <string>

namespace skippipe::runtime::testing {

struct answer {
  int code = -1;
  std::string text;
};

/// The exit code of a shell line and what it writes to stdout.
inline answer shell(const std::string& line) {
  answer result;
  auto* pipe = ::popen(line.c_str(), "r");
  if (pipe == nullptr)
    throw std::runtime_error("cannot start a shell");
  char buffer[4096];
  for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
    result.text.append(buffer, n);
  const int status = ::pclose(pipe);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

inline const std::string program = "'" SKIPPIPE_BINARY_DIR "/skippipe' ";

inline answer out_of(const std::string& words) { return shell(program + words + " 2>/dev/null"); }
inline answer errors_of(const std::string& words) {
  return shell(program + words + " 2>&1 >/dev/null");
}

} // namespace skippipe::runtime::testing
