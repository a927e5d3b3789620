// The bytes inside a tls stream: one greeting each way, then frames.
#pragma once

#include "transport/transport.hpp"

#include <optional>

namespace skippipe::transport::tls {

inline constexpr unsigned max_streams = 16;

/// A payload is cut at multiples of this; every chunk but the last has this size.
inline constexpr std::size_t chunk_size = 256 * 1024;

/// First bytes of a stream: from the dialer, and repeated by the acceptor with the sides swapped once
/// all streams of the channel are there.
struct greeting {
  std::uint16_t stream = 0; ///< Index of this stream.
  std::uint16_t streams = 1;
  peer_id from = 0;
  peer_id to = 0;
  std::uint64_t channel = 0; ///< Random; the same on all streams of one connection.
  friend bool operator==(const greeting&, const greeting&) = default;
};
inline constexpr std::size_t greeting_size = 36;

enum class frame_kind : std::uint8_t {
  message = 1, ///< On stream 0: sequence, header (`length` bytes follow), payload size in `value`.
  chunk = 2,   ///< `length` bytes of payload follow, at offset `value`.
  abort = 3,   ///< On every stream: no more chunks of this message follow here.
  refuse = 4,  ///< On stream 0, from the receiver: it does not want that message.
};

struct frame {
  frame_kind kind = frame_kind::message;
  std::uint32_t length = 0;
  std::uint64_t sequence = 0; ///< Messages of a channel count from 0, per direction.
  std::uint64_t value = 0;
  friend bool operator==(const frame&, const frame&) = default;
};
inline constexpr std::size_t frame_size = 24;

std::vector<std::byte> encode(const greeting& g);
std::optional<greeting> decode_greeting(std::span<const std::byte> in);

std::vector<std::byte> encode(const frame& f);
/// Empty unless `in` is exactly what `encode` makes of some frame.
std::optional<frame> decode_frame(std::span<const std::byte> in);

} // namespace skippipe::transport::tls
