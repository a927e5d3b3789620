#include "transport/ucx/wire.hpp"

#include "transport/checksum.hpp"
#include "transport/wire_codec.hpp"

namespace skippipe::transport::ucx {
namespace {

constexpr std::uint32_t packet_magic = 0x31504b53;  // "SKP1"
constexpr std::uint32_t address_magic = 0x31414b53; // "SKA1"
constexpr std::uint8_t flag_header_apart = 1, flag_checked = 2;

} // namespace

std::vector<std::byte> encode(const prefix& p) {
  std::vector<std::byte> out;
  out.reserve(prefix_size);
  field_writer(out)
      .put(packet_magic)
      .put(static_cast<std::uint8_t>(p.kind))
      .put(static_cast<std::uint8_t>((p.header_apart ? flag_header_apart : 0)
                                     | (p.checked ? flag_checked : 0)))
      .put(std::uint16_t{0})
      .put(p.epoch)
      .put(p.from)
      .put(p.from_session)
      .put(p.to_session)
      .put(p.sequence)
      .put(p.sum);
  return out;
}

std::optional<prefix> decode_prefix(std::span<const std::byte> in) {
  field_reader r(in);
  const auto magic = r.take<std::uint32_t>();
  const auto kind = r.take<std::uint8_t>();
  const auto flags = r.take<std::uint8_t>();
  const auto reserved = r.take<std::uint16_t>();
  prefix p;
  p.kind = static_cast<packet_kind>(kind);
  p.header_apart = (flags & flag_header_apart) != 0;
  p.checked = (flags & flag_checked) != 0;
  p.epoch = r.take<std::uint32_t>();
  p.from = r.take<std::uint64_t>();
  p.from_session = r.take<std::uint64_t>();
  p.to_session = r.take<std::uint64_t>();
  p.sequence = r.take<std::uint64_t>();
  p.sum = r.take<std::uint64_t>();
  const bool known_kind = kind >= 1 && kind <= 3;
  const bool known_flags = (flags & ~(flag_header_apart | flag_checked)) == 0
                           && (flags == 0 || p.kind == packet_kind::message);
  if (!r.ok() || magic != packet_magic || reserved != 0 || p.epoch == 0 || !known_kind
      || !known_flags)
    return std::nullopt;
  return p;
}

address encode(const node_address& a) {
  std::vector<std::byte> body;
  field_writer(body).put(a.id).put(a.session);
  body.insert(body.end(), a.worker.begin(), a.worker.end());
  address out;
  field_writer(out).put(address_magic).put(checksum(body));
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

std::optional<node_address> decode_address(std::span<const std::byte> in) {
  field_reader r(in);
  const auto magic = r.take<std::uint32_t>();
  const auto sum = r.take<std::uint64_t>();
  if (!r.ok() || magic != address_magic || checksum(r.rest()) != sum)
    return std::nullopt;
  node_address a;
  a.id = r.take<std::uint64_t>();
  a.session = r.take<std::uint64_t>();
  a.worker.assign(r.rest().begin(), r.rest().end());
  if (!r.ok() || a.worker.empty())
    return std::nullopt;
  return a;
}

} // namespace skippipe::transport::ucx
