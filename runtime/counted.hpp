// Numbers with their nouns.
#pragma once

#include <cstdint>
#include <string>

namespace skippipe::runtime {

/// "1 sample", "2 samples", "2 microbatches".
inline std::string counted(std::uint64_t count, const std::string& noun) {
  const char* ending = count == 1 ? "" : noun.ends_with("ch") ? "es" : "s";
  return std::to_string(count) + " " + noun + ending;
}

} // namespace skippipe::runtime
