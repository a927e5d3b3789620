// What nodes and a relay say to each other, and how a node behind a relay is addressed.
#pragma once

#include "transport/tls/sockets.hpp"

namespace skippipe::transport::tls {

enum class relay_verb : std::uint8_t {
  enlist = 1, ///< A node offers to be reached as `node`; the relay repeats it when that stands.
  want = 2,   ///< A node asks for `count` connections to `node`.
  offer =
      3, ///< The relay's answer, to both sides: one per connection, each with a ticket. Where the
         ///< node does not come in time, it ends the line.
  claim = 4, ///< First bytes of a new connection to the relay, which stands for the ticket.
};

/// Good for one connection within seconds. Worth no more than that: what passes is end-to-end TLS.
struct relay_ticket {
  std::uint64_t high = 0, low = 0;
  friend auto operator<=>(const relay_ticket&, const relay_ticket&) = default;
};

struct relay_message {
  relay_verb verb = relay_verb::enlist;
  std::uint16_t count = 0;
  peer_id node = 0;
  relay_ticket ticket;
  friend bool operator==(const relay_message&, const relay_message&) = default;
};
inline constexpr std::size_t relay_message_size = 32;

std::vector<std::byte> encode(const relay_message& m);
/// Empty unless `in` is exactly what `encode` makes of a message that someone may send.
std::optional<relay_message> decode_relay_message(std::span<const std::byte> in);

/// "relay HOST:PORT NODE".
struct relay_address {
  socket_address relay;
  peer_id node = 0;
  std::string text() const;
};
std::optional<relay_address> parse_relay_address(std::string_view text);

} // namespace skippipe::transport::tls
