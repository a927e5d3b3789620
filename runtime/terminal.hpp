// Whether what is written can be drawn over.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace skippipe::runtime {

/// A terminal that understands escape sequences; one that says it is dumb, or nothing, gets plain lines.
inline bool redraws(int file) {
  const char* kind = std::getenv("TERM");
  const std::string_view name = kind != nullptr ? kind : "";
  return ::isatty(file) == 1 && !name.empty() && name != "dumb";
}

} // namespace skippipe::runtime
