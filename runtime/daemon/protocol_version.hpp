// The version of what daemons and clients say to each other.
#pragma once

#include <cstdint>

namespace skippipe::runtime::daemon {

/// Both sides must speak the same; the first field of every join and submission.
inline constexpr std::uint32_t protocol_version = 1;

} // namespace skippipe::runtime::daemon
