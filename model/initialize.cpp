#include "model/initialize.hpp"

#include "model/hash.hpp"

#include <cmath>
#include <numbers>

namespace skippipe::model {

namespace {

double uniform(std::uint64_t x) { return static_cast<double>((x >> 11) + 1) * 0x1.0p-53; } // (0, 1]

} // namespace

double normal_at(std::uint64_t key, std::uint64_t index) {
  const auto base = mix(key) + 2 * index;
  return std::sqrt(-2.0 * std::log(uniform(mix(base))))
         * std::cos(2.0 * std::numbers::pi * uniform(mix(base + 1)));
}

} // namespace skippipe::model
