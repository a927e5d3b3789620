// Asks a handler for a payload's destination and checks the answer.
#pragma once

#include "transport/transport.hpp"

#include <new>

namespace skippipe::transport {

/// The destination of a payload of `size` > 0 bytes, or an empty buffer when the handler refuses,
/// runs out of memory or answers with a buffer of another size.
inline buffer ask_place(handler& h, peer_id from, std::span<const std::byte> header,
                        std::size_t size, const buffer* offered = nullptr) {
  try {
    buffer destination = h.place(from, header, size, offered);
    return destination.size() == size ? destination : buffer{};
  } catch (const std::bad_alloc&) {
    return {};
  }
}

} // namespace skippipe::transport
