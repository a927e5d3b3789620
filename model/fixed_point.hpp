// Gradients as 64-bit fixed point: sums that do not depend on their order (R12).
#pragma once

#include <cstddef>
#include <cstdint>

namespace skippipe::model {

/// Fixed-point gradients are round(g * 2^fixed_point_bits).
inline constexpr int fixed_point_bits = 44;

/// sum[i] += round(values[i] * 2^fixed_point_bits). False, with `sum` partly written, where a value
/// is not finite or too large for its sum to be safe (|g| >= 2^(62 - fixed_point_bits) / 16).
bool fixed_point_add(std::int64_t* sum, const float* values, std::size_t count);
bool fixed_point_add(std::int64_t* sum, const double* values, std::size_t count);

} // namespace skippipe::model
