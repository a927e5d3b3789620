#include "model/fixed_point.hpp"

#include <cmath>

namespace skippipe::model {

namespace {

template <class Float>
inline bool add(std::int64_t* sum, const Float* values, std::size_t count) {
  constexpr double scale = static_cast<double>(std::int64_t{1} << fixed_point_bits);
  constexpr double limit = static_cast<double>(std::int64_t{1} << 58); // 16 of them still fit.
  int bad = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double scaled = static_cast<double>(values[i]) * scale;
    const bool fits = std::fabs(scaled) < limit; // False for NaN too.
    bad |= fits ? 0 : 1;
    sum[i] += static_cast<std::int64_t>(std::nearbyint(fits ? scaled : 0.0));
  }
  return bad == 0;
}

} // namespace

__attribute__((target_clones("arch=skylake-avx512", "avx2", "default"))) bool
fixed_point_add(std::int64_t* sum, const float* values, std::size_t count) {
  return add(sum, values, count);
}

__attribute__((target_clones("arch=skylake-avx512", "avx2", "default"))) bool
fixed_point_add(std::int64_t* sum, const double* values, std::size_t count) {
  return add(sum, values, count);
}

} // namespace skippipe::model
