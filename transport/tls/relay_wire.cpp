#include "transport/tls/relay_wire.hpp"

#include "transport/tls/frames.hpp"
#include "transport/wire_codec.hpp"

#include <charconv>

namespace skippipe::transport::tls {
namespace {

/// Its first byte is not that of a TLS handshake, which may stand there as well.
constexpr std::uint32_t relay_magic = 0x31524b53; // "SKR1"
constexpr std::string_view scheme = "relay ";

bool makes_sense(const relay_message& m) {
  const bool ticket = m.ticket != relay_ticket{};
  switch (m.verb) {
    case relay_verb::enlist:
      return !ticket && m.count == 0;
    case relay_verb::want:
      return !ticket && m.count > 0 && m.count <= max_streams;
    case relay_verb::offer:
    case relay_verb::claim:
      return ticket && m.count == 0;
  }
  return false;
}

} // namespace

std::vector<std::byte> encode(const relay_message& m) {
  std::vector<std::byte> out;
  out.reserve(relay_message_size);
  field_writer(out)
      .put(relay_magic)
      .put(static_cast<std::uint16_t>(m.verb))
      .put(m.count)
      .put(m.node)
      .put(m.ticket.high)
      .put(m.ticket.low);
  return out;
}

std::optional<relay_message> decode_relay_message(std::span<const std::byte> in) {
  field_reader r(in);
  const auto magic = r.take<std::uint32_t>();
  const auto verb = r.take<std::uint16_t>();
  relay_message m;
  m.verb = static_cast<relay_verb>(verb);
  m.count = r.take<std::uint16_t>();
  m.node = r.take<std::uint64_t>();
  m.ticket.high = r.take<std::uint64_t>();
  m.ticket.low = r.take<std::uint64_t>();
  if (!r.ok() || !r.rest().empty() || magic != relay_magic || verb > 4 || !makes_sense(m))
    return std::nullopt;
  return m;
}

std::string relay_address::text() const {
  return std::string(scheme) + relay.text() + " " + std::to_string(node);
}

std::optional<relay_address> parse_relay_address(std::string_view text) {
  const auto space = text.rfind(' ');
  if (!text.starts_with(scheme) || space < scheme.size())
    return std::nullopt;
  const auto relay = parse_address(text.substr(scheme.size(), space - scheme.size()));
  const auto digits = text.substr(space + 1);
  relay_address a;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), a.node);
  if (!relay || error != std::errc{} || end != digits.data() + digits.size() || digits.empty())
    return std::nullopt;
  a.relay = *relay;
  return a;
}

} // namespace skippipe::transport::tls
