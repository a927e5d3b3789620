// File descriptors for many connections.
#pragma once

#include <cstdint>

namespace skippipe::runtime::gate {

/// Raises this process's soft limit of open files to its hard one, at most `most`; returns the limit
/// that now holds. Call once, at the start.
std::uint64_t raise_open_files(std::uint64_t most = 65'536);

} // namespace skippipe::runtime::gate
