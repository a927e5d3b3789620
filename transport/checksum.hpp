// A fast 64-bit checksum against accidental corruption; it is no protection against intent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace skippipe::transport {

/// Always differs when one aligned word of 8 bytes does, or the size; else but for one chance in about
/// 2^60. Not cryptographic. As fast as memory can be read.
std::uint64_t checksum(std::span<const std::byte> bytes) noexcept;

/// The same sum without vector instructions, for processors that have none.
std::uint64_t portable_checksum(std::span<const std::byte> bytes) noexcept;

} // namespace skippipe::transport
