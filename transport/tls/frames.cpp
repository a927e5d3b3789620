#include "transport/tls/frames.hpp"

#include "transport/wire_codec.hpp"

namespace skippipe::transport::tls {
namespace {

constexpr std::uint32_t greeting_magic = 0x31544b53; // "SKT1"
constexpr std::uint32_t frame_magic = 0x46545053;    // "SPTF", without its low byte

} // namespace

std::vector<std::byte> encode(const greeting& g) {
  std::vector<std::byte> out;
  out.reserve(greeting_size);
  field_writer(out)
      .put(greeting_magic)
      .put(g.stream)
      .put(g.streams)
      .put(std::uint32_t{0})
      .put(g.from)
      .put(g.to)
      .put(g.channel);
  return out;
}

std::optional<greeting> decode_greeting(std::span<const std::byte> in) {
  field_reader r(in);
  const auto magic = r.take<std::uint32_t>();
  greeting g;
  g.stream = r.take<std::uint16_t>();
  g.streams = r.take<std::uint16_t>();
  const auto reserved = r.take<std::uint32_t>();
  g.from = r.take<std::uint64_t>();
  g.to = r.take<std::uint64_t>();
  g.channel = r.take<std::uint64_t>();
  if (!r.ok() || !r.rest().empty() || magic != greeting_magic || reserved != 0 || g.streams == 0
      || g.streams > max_streams || g.stream >= g.streams)
    return std::nullopt;
  return g;
}

std::vector<std::byte> encode(const frame& f) {
  std::vector<std::byte> out;
  out.reserve(frame_size);
  field_writer(out)
      .put((frame_magic & ~0xffu) | static_cast<std::uint32_t>(f.kind))
      .put(f.length)
      .put(f.sequence)
      .put(f.value);
  return out;
}

std::optional<frame> decode_frame(std::span<const std::byte> in) {
  field_reader r(in);
  const auto magic = r.take<std::uint32_t>();
  frame f;
  f.kind = static_cast<frame_kind>(magic & 0xffu);
  f.length = r.take<std::uint32_t>();
  f.sequence = r.take<std::uint64_t>();
  f.value = r.take<std::uint64_t>();
  if (!r.ok() || !r.rest().empty() || (magic & ~0xffu) != (frame_magic & ~0xffu))
    return std::nullopt;
  switch (f.kind) {
    case frame_kind::message:
      return f;
    case frame_kind::chunk:
      if (f.length == 0 || f.length > chunk_size || f.value % chunk_size != 0)
        return std::nullopt;
      return f;
    case frame_kind::abort:
    case frame_kind::refuse:
      if (f.length != 0 || f.value != 0)
        return std::nullopt;
      return f;
  }
  return std::nullopt;
}

} // namespace skippipe::transport::tls
