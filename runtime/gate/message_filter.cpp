#include "runtime/gate/message_filter.hpp"

#include <algorithm>
#include <cstring>

namespace skippipe::runtime::gate {

namespace {

// CAF 0.17, libcaf_io/caf/io/basp/message_type.hpp and header.hpp: operation, two bytes of padding,
// flags, then in network byte order the payload's size and three 64-bit fields.
constexpr unsigned server_handshake = 0, client_handshake = 1, heartbeat = 6;

} // namespace

bool message_filter::accept_header() {
  const auto operation = std::to_integer<unsigned>(header_[0]);
  std::uint32_t payload = 0;
  for (std::size_t i = 4; i < 8; ++i)
    payload = payload << 8 | std::to_integer<std::uint32_t>(header_[i]);
  if (operation > heartbeat || payload > max_payload_)
    return false;
  if (first_ && operation != server_handshake && operation != client_handshake)
    return false;
  first_ = false;
  payload_left_ = payload;
  return true;
}

bool message_filter::accept(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (payload_left_ > 0) {
      const auto n = std::min<std::uint64_t>(payload_left_, bytes.size());
      payload_left_ -= n;
      bytes = bytes.subspan(n);
      continue;
    }
    const auto n = std::min(header_size - header_bytes_, bytes.size());
    std::memcpy(header_.data() + header_bytes_, bytes.data(), n);
    header_bytes_ += n;
    bytes = bytes.subspan(n);
    if (header_bytes_ < header_size)
      return true;
    header_bytes_ = 0;
    if (!accept_header())
      return false;
  }
  return true;
}

std::array<std::byte, message_filter::header_size> heartbeat_message() {
  std::array<std::byte, message_filter::header_size> message{};
  message[0] = std::byte{heartbeat};
  return message;
}

bool only_heartbeats(std::span<const std::byte> bytes) {
  const auto one = heartbeat_message();
  for (; bytes.size() >= one.size(); bytes = bytes.subspan(one.size()))
    if (!std::equal(one.begin(), one.end(), bytes.begin()))
      return false;
  return bytes.empty();
}

} // namespace skippipe::runtime::gate
