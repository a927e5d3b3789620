// What LibTorch's errors say.
#pragma once

#include <string>

namespace skippipe::model {

/// Without the backtrace that they carry below it.
inline std::string first_line(const std::string& error) {
  return error.substr(0, error.find('\n'));
}

} // namespace skippipe::model
