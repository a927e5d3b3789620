// The bytes of a trace file, shared by its writer and its reader.
//
//   file    = frame*
//   frame   = frame_header payload
//   payload = segment | event[count]
//
// A file is a sequence of frames, each with two checksums: one of its header, so that a reader can
// step over a damaged payload, and one of its payload. The first frame is a segment: whose events
// follow and by which clock. A resumed run, or a new clock estimate, begins another segment in the
// same file. All numbers are little-endian.
#pragma once

#include "actors/trace/event.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace skippipe::trace {

static_assert(std::endian::native == std::endian::little, "trace files are little-endian");

inline constexpr std::uint32_t frame_magic = 0x31725453; // "STr1": the 1 is the format's version
inline constexpr std::uint32_t segment_frame = 1;
inline constexpr std::uint32_t event_frame = 2;
inline constexpr std::size_t max_frame_events = 4096;
inline constexpr std::size_t max_name_bytes = 255;

struct frame_header {
  std::uint32_t magic = frame_magic;
  std::uint32_t type = 0;
  std::uint32_t length = 0; ///< Payload bytes.
  std::uint32_t payload_crc = 0;
  std::uint64_t overwritten = 0; ///< Events lost to a full ring since the frame before.
  std::uint32_t reserved = 0;
  std::uint32_t header_crc = 0; ///< Of the bytes before it.
};
static_assert(sizeof(frame_header) == 32);

/// The fixed part of a segment's payload; the node's name follows.
struct segment_head {
  std::uint64_t session = 0;
  std::uint64_t incarnation = 0;
  std::int64_t clock_offset_ns = 0;
  std::int64_t clock_uncertainty_ns = 0;
  std::uint32_t node = 0;
  std::uint32_t name_bytes = 0;
};
static_assert(sizeof(segment_head) == 40);

inline constexpr std::size_t max_payload_bytes = max_frame_events * sizeof(event);

/// CRC-32 (IEEE 802.3, reflected).
std::uint32_t crc32(std::span<const std::byte> data) noexcept;
std::uint32_t header_crc(const frame_header& header) noexcept;

/// True for a header that this version wrote: checksum, magic, type and a length that fits them.
bool header_ok(const frame_header& header) noexcept;

} // namespace skippipe::trace
