// The optimizer's arithmetic on flat buffers: norms and AdamW.
#pragma once

#include "model/options.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace skippipe::model {

/// float64 sum of squares of a contiguous CPU tensor (int64: fixed point); one fixed order of
/// summation, so equal inputs give equal bits (R12).
double squared_norm(const at::Tensor& gradient);

/// AdamW (Loshchilov and Hutter 2019): decoupled decay, bias-corrected moments.
struct adamw_step {
  adamw_step(const optimizer_options& options, std::uint64_t iteration, double clip_factor);
  /// All flat and of one size; `gradient` may be int64 fixed point. Updates value and moments.
  void apply(at::Tensor value, const at::Tensor& gradient, at::Tensor exp_avg,
             at::Tensor exp_avg_sq, bool decay) const;

  optimizer_options options;
  double lr, clip_factor;
  double correction1, correction2; ///< 1 - beta^iteration.
};

} // namespace skippipe::model
