// A fast 64-bit checksum against accidental corruption; it is no protection against intent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace skippipe::transport {

/// Differs, but for one chance in 2^64, when any byte or the size differs. Not cryptographic.
std::uint64_t checksum(std::span<const std::byte> bytes) noexcept;

} // namespace skippipe::transport
