#include "transport/checksum.hpp"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace skippipe::transport {
namespace {

// Eight lanes of 64 bits. A word goes into two of them: as it is into its neighbor's, so that one changed
// word always shows, and into its own as the product of its halves, after a key was added that is another
// one in every stripe, so that order shows. Sums of independent products keep vector units busy.

constexpr std::size_t lanes = 8, stripe = lanes * sizeof(std::uint64_t);
using state = std::array<std::uint64_t, lanes>;

constexpr std::uint64_t odd_a = 0x9e3779b97f4a7c15u;
constexpr std::uint64_t odd_b = 0xc2b2ae3d27d4eb4fu;

constexpr state first_keys() {
  state keys{};
  for (std::size_t i = 0; i < lanes; ++i)
    keys[i] = std::rotl(odd_b, static_cast<int>(8 * i)) * odd_a;
  return keys;
}

struct sums {
  state lane{};
  state key = first_keys();
};

/// Whole stripes only.
void absorb_plain(sums& s, const std::byte* p, std::size_t stripes) noexcept {
  for (; stripes > 0; --stripes, p += stripe) {
    state word;
    std::memcpy(word.data(), p, stripe);
    for (std::size_t i = 0; i < lanes; ++i) {
      const std::uint64_t x = word[i] + s.key[i];
      s.lane[i] += (x & 0xffffffffu) * (x >> 32) + word[i ^ 1];
      s.key[i] += odd_a;
    }
  }
}

#if defined(__x86_64__)
/// As fast as memory delivers, mostly.
__attribute__((target("avx2"))) void absorb_avx2(sums& s, const std::byte* p,
                                                 std::size_t stripes) noexcept {
  constexpr std::size_t quads = lanes / 4;
  const auto* from = reinterpret_cast<const __m256i*>(p);
  const __m256i step = _mm256_set1_epi64x(static_cast<long long>(odd_a));
  __m256i lane[quads], key[quads];
  std::memcpy(lane, s.lane.data(), sizeof lane);
  std::memcpy(key, s.key.data(), sizeof key);
  for (; stripes > 0; --stripes, from += quads)
    for (std::size_t i = 0; i < quads; ++i) {
      const __m256i word = _mm256_loadu_si256(from + i);
      const __m256i x = _mm256_add_epi64(word, key[i]);
      const __m256i crossed = _mm256_shuffle_epi32(word, _MM_SHUFFLE(1, 0, 3, 2));
      lane[i] = _mm256_add_epi64(lane[i], _mm256_mul_epu32(x, _mm256_srli_epi64(x, 32)));
      lane[i] = _mm256_add_epi64(lane[i], crossed);
      key[i] = _mm256_add_epi64(key[i], step);
    }
  std::memcpy(s.lane.data(), lane, sizeof lane);
  std::memcpy(s.key.data(), key, sizeof key);
}

void absorb_wide(sums& s, const std::byte* p, std::size_t stripes) noexcept {
  static const bool has_avx2 = __builtin_cpu_supports("avx2");
  return has_avx2 ? absorb_avx2(s, p, stripes) : absorb_plain(s, p, stripes);
}
#else
constexpr auto absorb_wide = absorb_plain;
#endif

/// Bijective in the word.
constexpr std::uint64_t mix(std::uint64_t sum, std::uint64_t word) noexcept {
  sum = std::rotl(sum ^ word * odd_a, 29) * odd_b;
  return sum ^ sum >> 31;
}

template <class Absorb>
std::uint64_t sum_with(Absorb absorb, std::span<const std::byte> bytes) noexcept {
  sums s;
  const std::size_t whole = bytes.size() / stripe;
  absorb(s, bytes.data(), whole);
  std::byte tail[stripe] = {};
  if (const auto rest = bytes.subspan(whole * stripe); !rest.empty())
    std::memcpy(tail, rest.data(), rest.size());
  absorb(s, tail, 1);
  std::uint64_t sum = bytes.size();
  for (const std::uint64_t lane : s.lane)
    sum = mix(sum, lane);
  return sum;
}

} // namespace

std::uint64_t portable_checksum(std::span<const std::byte> bytes) noexcept {
  return sum_with(absorb_plain, bytes);
}

std::uint64_t checksum(std::span<const std::byte> bytes) noexcept {
  return sum_with(absorb_wide, bytes);
}

} // namespace skippipe::transport
