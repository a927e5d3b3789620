// Follows the messages of CAF's wire protocol (BASP) in a byte stream, so that an absurd one ends at
// the gate: CAF makes room for whatever size a header announces, up to 4 GiB.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace skippipe::runtime::gate {

class message_filter {
public:
  static constexpr std::size_t header_size = 32;

  explicit message_filter(std::uint32_t max_payload) : max_payload_(max_payload) {}

  /// Looks at the next bytes of the stream; false when a header in them is malformed or announces more
  /// than the limit. After that the stream must not go on.
  bool accept(std::span<const std::byte> bytes);

  /// Whether a message may follow now: the handshake is over, and no message is under way.
  bool between_messages() const { return !first_ && header_bytes_ == 0 && payload_left_ == 0; }

private:
  bool accept_header();

  const std::uint32_t max_payload_;
  std::array<std::byte, header_size> header_{};
  std::size_t header_bytes_ = 0;
  std::uint64_t payload_left_ = 0;
  bool first_ = true; ///< A stream starts with a handshake.
};

/// The message that says no more than that its sender lives. CAF understands it, too.
std::array<std::byte, message_filter::header_size> heartbeat_message();

/// Whether `bytes`, the start of a message or of several, are heartbeats and nothing else.
bool only_heartbeats(std::span<const std::byte> bytes);

} // namespace skippipe::runtime::gate
