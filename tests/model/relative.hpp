// How far two tensors are apart.
#pragma once

#include <ATen/ATen.h>

namespace skippipe::testing {

/// The norm of `a - b` over that of `b`, in float64; both of one shape.
inline double relative(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).norm().item<double>()
         / b.to(at::kDouble).norm().item<double>();
}

} // namespace skippipe::testing
