#include "actors/trace/format.hpp"

#include <array>

namespace skippipe::trace {

namespace {

// Slicing by 8: eight bytes per step, because every event passes through here twice.
using crc_tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr crc_tables make_tables() {
  crc_tables t{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit)
      c = (c >> 1) ^ ((c & 1) != 0 ? 0xedb88320u : 0u);
    t[0][i] = c;
  }
  for (std::uint32_t i = 0; i < 256; ++i)
    for (std::size_t k = 1; k < t.size(); ++k)
      t[k][i] = (t[k - 1][i] >> 8) ^ t[0][t[k - 1][i] & 0xff];
  return t;
}

constexpr crc_tables tables = make_tables();

} // namespace

std::uint32_t crc32(std::span<const std::byte> data) noexcept {
  std::uint32_t c = 0xffffffffu;
  std::size_t i = 0;
  auto at = [&](std::size_t k) { return static_cast<std::uint32_t>(data[k]); };
  for (; i + 8 <= data.size(); i += 8) {
    const std::uint32_t low = c ^ (at(i) | at(i + 1) << 8 | at(i + 2) << 16 | at(i + 3) << 24);
    c = tables[7][low & 0xff] ^ tables[6][(low >> 8) & 0xff] ^ tables[5][(low >> 16) & 0xff]
        ^ tables[4][low >> 24] ^ tables[3][at(i + 4)] ^ tables[2][at(i + 5)] ^ tables[1][at(i + 6)]
        ^ tables[0][at(i + 7)];
  }
  for (; i < data.size(); ++i)
    c = (c >> 8) ^ tables[0][(c ^ at(i)) & 0xff];
  return ~c;
}

std::uint32_t header_crc(const frame_header& header) noexcept {
  return crc32(std::as_bytes(std::span(&header, 1)).first(offsetof(frame_header, header_crc)));
}

bool header_ok(const frame_header& header) noexcept {
  if (header.magic != frame_magic || header.header_crc != header_crc(header))
    return false;
  if (header.type == segment_frame)
    return header.length >= sizeof(segment_head)
           && header.length <= sizeof(segment_head) + max_name_bytes;
  return header.type == event_frame && header.length <= max_payload_bytes
         && header.length % sizeof(event) == 0;
}

} // namespace skippipe::trace
