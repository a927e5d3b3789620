// Why an address cannot be reached, in the words that all commands and logs share.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>

namespace skippipe::runtime {

inline constexpr const char* nobody_listens = "nobody listens there";
inline constexpr const char* nobody_answers = "nobody answers there"; ///< In time.

/// `error`: of connect.
inline std::string why_unreachable(int error) {
  return error == ECONNREFUSED ? nobody_listens : std::strerror(error);
}

} // namespace skippipe::runtime
