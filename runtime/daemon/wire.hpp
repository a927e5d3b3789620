// What all messages between daemons and clients share.
#pragma once

#include <cstdint>
#include <string>

namespace skippipe::runtime::daemon {

/// Both sides must speak the same; the first field of every join and submission.
inline constexpr std::uint32_t protocol_version = 4;

/// Stands in place of the scheduler's HOST:PORT where it will have nothing to do with who asks.
inline constexpr const char* refused_entry = "refused";

/// Any bytes. For a vector of characters CAF makes room for whatever length it reads, before it looks
/// whether so many bytes are there; for a string it looks first.
using wire_bytes = std::string;

} // namespace skippipe::runtime::daemon
