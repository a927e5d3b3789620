#include "model/initialize.hpp"

#include <cmath>
#include <numbers>

namespace skippipe::model {

namespace {

std::uint64_t mix(std::uint64_t x) { // splitmix64's finaliser
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

double uniform(std::uint64_t x) { return static_cast<double>((x >> 11) + 1) * 0x1.0p-53; } // (0, 1]

} // namespace

std::uint64_t name_hash(std::string_view name) {
  std::uint64_t h = 0xcbf29ce484222325ULL;
  for (unsigned char c : name)
    h = (h ^ c) * 0x100000001b3ULL;
  return h;
}

double normal_at(std::uint64_t key, std::uint64_t index) {
  const auto base = mix(key) + 2 * index;
  return std::sqrt(-2.0 * std::log(uniform(mix(base))))
         * std::cos(2.0 * std::numbers::pi * uniform(mix(base + 1)));
}

} // namespace skippipe::model
