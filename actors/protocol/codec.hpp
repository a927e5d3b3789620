// Wire messages to bytes and back. What comes off the wire is checked before use (R8).
#pragma once

#include "actors/protocol/messages.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace skippipe::actors {

/// Largest encoded message; a transport refuses longer headers.
inline constexpr std::size_t max_message_bytes = std::size_t{16} << 20;

/// Magic, version, kind, sender, then the message.
std::vector<std::byte> encode(node_id from, const wire_message& message);

struct decoded {
  node_id from = 0;
  wire_message message;
};

/// Never throws and never allocates more than the input allows; nullopt with the reason in `problem`
/// where the bytes are not exactly one valid message.
std::optional<decoded> decode(std::span<const std::byte> bytes, std::string* problem = nullptr);

/// The descriptor of the payload that travels with a message; nullptr for messages without one.
const tensor_desc* payload_desc(const wire_message& message);

/// The name of a message's type, for logs and traces.
const char* name_of(const wire_message& message);

} // namespace skippipe::actors
