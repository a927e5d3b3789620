#include "actors/trace/frame_filter.hpp"

#include "actors/trace/format.hpp"

#include <cstring>

namespace skippipe::trace {

namespace {

void append(std::vector<std::byte>& out, std::span<const std::byte> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

/// The events of a good frame, or false.
bool pick(std::span<const std::byte> payload, const event_filter& filter,
          std::vector<std::byte>& kept) {
  for (std::size_t at = 0; at < payload.size(); at += sizeof(event)) {
    event e;
    std::memcpy(static_cast<void*>(&e), payload.data() + at, sizeof e);
    if (!well_formed(e))
      return false;
    if (filter.keeps(e))
      append(kept, payload.subspan(at, sizeof e));
  }
  return true;
}

void put_frame(std::span<const std::byte> frame, frame_header header, const event_filter& filter,
               std::vector<std::byte>& out) {
  const auto payload = frame.subspan(sizeof header);
  std::vector<std::byte> kept;
  if (header.type != event_frame || crc32(payload) != header.payload_crc
      || !pick(payload, filter, kept))
    return append(out, frame);
  if (kept.empty() && header.overwritten == 0)
    return;
  header.length = static_cast<std::uint32_t>(kept.size());
  header.payload_crc = crc32(kept);
  header.header_crc = header_crc(header);
  append(out, std::as_bytes(std::span{&header, 1}));
  append(out, kept);
}

} // namespace

std::size_t filter_frames(std::span<const std::byte> bytes, bool last, const event_filter& filter,
                          std::vector<std::byte>& out) {
  std::size_t at = 0;
  while (bytes.size() - at >= sizeof(frame_header)) {
    const auto rest = bytes.subspan(at);
    frame_header header;
    std::memcpy(&header, rest.data(), sizeof header);
    if (!header_ok(header)) {
      out.push_back(rest[0]);
      ++at;
    } else if (const auto size = sizeof header + header.length; rest.size() >= size) {
      put_frame(rest.first(size), header, filter, out);
      at += size;
    } else if (last) {
      out.push_back(rest[0]);
      ++at;
    } else {
      return at;
    }
  }
  if (!last)
    return at;
  append(out, bytes.subspan(at));
  return bytes.size();
}

} // namespace skippipe::trace
