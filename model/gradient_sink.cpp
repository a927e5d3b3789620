#include "model/gradient_sink.hpp"

#include "model/fixed_point.hpp"
#include "model/fused.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <stdexcept>

namespace skippipe::model {

void gradient_sink::add_product(const at::Tensor& rows, const at::Tensor& columns) const {
  if (accumulator_.scalar_type() == rows.scalar_type()) {
    auto target = accumulator_;
    target.addmm_(rows.t(), columns);
  } else {
    add(at::mm(rows.t(), columns));
  }
}

void gradient_sink::add(const at::Tensor& gradient) const {
  auto target = accumulator_;
  if (target.scalar_type() != at::kLong) {
    target.add_(gradient);
    return;
  }
  const auto wide = gradient.scalar_type() == at::kDouble ? gradient : gradient.to(at::kFloat);
  if (!uses_fused_loops(target)) {
    const auto scaled = wide.to(at::kDouble).mul(std::ldexp(1.0, fixed_point_bits));
    if (!(scaled.abs().max().item<double>() < std::ldexp(1.0, 58)))
      throw std::range_error("the gradient of " + name_
                             + " is not finite or does not fit the fixed-point range");
    target.add_(scaled.round().to(at::kLong));
    return;
  }
  const auto flat = wide.contiguous();
  const auto count = static_cast<std::size_t>(flat.numel());
  auto* sum = target.data_ptr<std::int64_t>();
  const bool fits = flat.scalar_type() == at::kDouble
                        ? fixed_point_add(sum, flat.data_ptr<double>(), count)
                        : fixed_point_add(sum, flat.data_ptr<float>(), count);
  if (!fits)
    throw std::range_error("the gradient of " + name_
                           + " is not finite or does not fit the fixed-point range");
}

void gradient_sink::add_rows(const at::Tensor& tokens, const at::Tensor& rows) const {
  auto target = accumulator_;
  if (target.scalar_type() == at::kLong) {
    const auto wide = rows.scalar_type() == at::kBFloat16 ? rows.to(at::kFloat) : rows;
    add(at::zeros(target.sizes(), wide.options()).index_add_(0, tokens, wide));
    return;
  }
  target.index_add_(0, tokens, rows.to(target.scalar_type()));
}

} // namespace skippipe::model
