#include "model/hash.hpp"

#include <array>
#include <cstring>

namespace skippipe::model {

std::uint64_t hash_bytes(const void* data, std::size_t size) {
  // Four independent multiply-xor lanes over 64-bit words, so that the loop is not latency-bound.
  constexpr std::uint64_t multiplier = 0x9fb21c651e98df25ULL;
  std::array<std::uint64_t, 4> lanes{1, 2, 3, 4};
  const auto* bytes = static_cast<const unsigned char*>(data);
  std::size_t i = 0;
  const auto absorb = [&](std::uint64_t& lane, std::uint64_t word) {
    lane = (lane ^ word) * multiplier;
    lane ^= lane >> 32;
  };
  for (; i + 32 <= size; i += 32)
    for (std::size_t j = 0; j < 4; ++j) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes + i + 8 * j, 8);
      absorb(lanes[j], word);
    }
  for (; i < size; ++i)
    absorb(lanes[0], bytes[i]);
  std::uint64_t hash = size;
  for (auto lane : lanes)
    absorb(hash, lane);
  return hash;
}

} // namespace skippipe::model
