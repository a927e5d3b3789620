// How a command ends for its user's error.
#pragma once

#include "runtime/config/problems.hpp"

#include <stdexcept>
#include <string>

namespace skippipe::runtime {

/// A user's error: one line (or one per problem), and the exit code.
class command_error : public std::runtime_error {
public:
  explicit command_error(const std::string& line, int code = 1)
      : std::runtime_error(line), code_(code) {}
  int code() const { return code_; }

private:
  int code_;
};

inline constexpr int exit_usage = 2, exit_infeasible = 3;

/// What is wrong with a configuration, as an error.
inline command_error as_error(const problem_list& problems) {
  return command_error(problems.text(), problems.infeasible()        ? exit_infeasible
                                        : problems.of_command_line() ? exit_usage
                                                                     : 1);
}

} // namespace skippipe::runtime
