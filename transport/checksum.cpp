#include "transport/checksum.hpp"

#include <bit>
#include <cstring>

namespace skippipe::transport {
namespace {

constexpr std::uint64_t odd_a = 0x9e3779b97f4a7c15u;
constexpr std::uint64_t odd_b = 0xc2b2ae3d27d4eb4fu;

// Both steps are bijective in the word, so one changed word always changes the lane.
constexpr std::uint64_t mix(std::uint64_t lane, std::uint64_t word) noexcept {
  return std::rotl(lane ^ word * odd_a, 29) * odd_b;
}

std::uint64_t word_at(const std::byte* p) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, p, sizeof word);
  return word;
}

} // namespace

std::uint64_t checksum(std::span<const std::byte> bytes) noexcept {
  // Four independent lanes keep the multiplier busy.
  std::uint64_t lanes[4] = {bytes.size(), odd_a, odd_b, odd_a ^ odd_b};
  const std::byte* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 32; p += 32, left -= 32)
    for (int i = 0; i < 4; ++i)
      lanes[i] = mix(lanes[i], word_at(p + 8 * i));
  std::byte tail[32] = {};
  if (left > 0)
    std::memcpy(tail, p, left);
  for (int i = 0; i < 4; ++i)
    lanes[i] = mix(lanes[i], word_at(tail + 8 * i));
  std::uint64_t sum = bytes.size();
  for (const std::uint64_t lane : lanes) {
    sum = mix(sum, lane);
    sum ^= sum >> 31;
  }
  return sum;
}

} // namespace skippipe::transport
