// What the ucx backend puts before a message's header, and its address format.
#pragma once

#include "transport/transport.hpp"

#include <optional>

namespace skippipe::transport::ucx {

/// A life of an endpoint; random, so that bytes meant for or sent by an earlier life are told apart.
using session_id = std::uint64_t;

enum class packet_kind : std::uint8_t {
  message = 1, ///< Header after the prefix, payload as the active message's data.
  header = 2,  ///< Only the header, as data: it is too large to travel with the payload.
  bye = 3,     ///< The sender disconnects.
};

struct prefix {
  packet_kind kind = packet_kind::message;
  bool header_apart = false; ///< A packet of kind `header` with the same sequence carries it.
  bool checked = false;      ///< `sum` covers the payload.
  std::uint32_t epoch = 0;   ///< Counts the sender's connections to this peer from 1.
  peer_id from = 0;
  session_id from_session = 0;
  session_id to_session = 0;
  std::uint64_t sequence = 0; ///< Counts messages of a connection from 0.
  std::uint64_t sum = 0;
  friend bool operator==(const prefix&, const prefix&) = default;
};

inline constexpr std::size_t prefix_size = 52;

std::vector<std::byte> encode(const prefix& p);
/// Empty unless the first `prefix_size` bytes are exactly what `encode` makes.
std::optional<prefix> decode_prefix(std::span<const std::byte> in);

struct node_address {
  peer_id id = 0;
  session_id session = 0;
  std::vector<std::byte> worker; ///< UCX's own address; UCX trusts it, hence the checksum.
};

address encode(const node_address& a);
/// Empty when damaged or of another version.
std::optional<node_address> decode_address(std::span<const std::byte> in);

} // namespace skippipe::transport::ucx
