#include "model/update.hpp"

#include "model/fixed_point.hpp"
#include "model/fused.hpp"

#include <ATen/ATen.h>

#include <array>
#include <cmath>

namespace skippipe::model {

namespace {

constexpr double fixed_scale = 1.0 / static_cast<double>(std::int64_t{1} << fixed_point_bits);

/// Eight running sums: the order is fixed whatever the vector width.
template <class T>
double sum_of_squares(const T* data, std::size_t count, double scale) {
  std::array<double, 8> sums{};
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (std::size_t j = 0; j < 8; ++j) {
      const double x = static_cast<double>(data[i + j]) * scale;
      sums[j] += x * x;
    }
  for (; i < count; ++i) {
    const double x = static_cast<double>(data[i]) * scale;
    sums[i % 8] += x * x;
  }
  double total = 0;
  for (double sum : sums)
    total += sum;
  return total;
}

template <class Value, class Gradient>
void adamw(const adamw_step& step, double gradient_scale, bool decay, Value* value,
           const Gradient* gradient, Value* m, Value* v, std::size_t count) {
  const auto beta1 = static_cast<Value>(step.options.beta1);
  const auto beta2 = static_cast<Value>(step.options.beta2);
  const auto keep = static_cast<Value>(decay ? 1.0 - step.lr * step.options.weight_decay : 1.0);
  const auto size = static_cast<Value>(step.lr / step.correction1);
  const auto root = static_cast<Value>(1.0 / std::sqrt(step.correction2));
  const auto eps = static_cast<Value>(step.options.eps);
  for (std::size_t i = 0; i < count; ++i) {
    const auto g = static_cast<Value>(static_cast<double>(gradient[i]) * gradient_scale);
    m[i] = beta1 * m[i] + (1 - beta1) * g;
    v[i] = beta2 * v[i] + (1 - beta2) * g * g;
    value[i] = keep * value[i] - size * m[i] / (std::sqrt(v[i]) * root + eps);
  }
}

} // namespace

double squared_norm(const at::Tensor& gradient) {
  const auto flat = gradient.contiguous();
  const auto count = static_cast<std::size_t>(flat.numel());
  if (flat.scalar_type() == at::kLong)
    return sum_of_squares(flat.data_ptr<std::int64_t>(), count, fixed_scale);
  if (flat.scalar_type() == at::kDouble)
    return sum_of_squares(flat.data_ptr<double>(), count, 1.0);
  return sum_of_squares(flat.data_ptr<float>(), count, 1.0);
}

adamw_step::adamw_step(const optimizer_options& given, std::uint64_t iteration, double clip)
    : options(given), lr(learning_rate(given, iteration)), clip_factor(clip),
      correction1(1.0 - std::pow(given.beta1, static_cast<double>(iteration))),
      correction2(1.0 - std::pow(given.beta2, static_cast<double>(iteration))) {}

void adamw_step::apply(at::Tensor value, const at::Tensor& gradient, at::Tensor exp_avg,
                       at::Tensor exp_avg_sq, bool decay) const {
  const bool fixed = gradient.scalar_type() == at::kLong;
  const double scale = clip_factor * (fixed ? fixed_scale : 1.0);
  if (!uses_fused_loops(value)) {
    const auto g = gradient.to(at::kDouble).mul_(scale).to(value.scalar_type());
    exp_avg.mul_(options.beta1).add_(g, 1 - options.beta1);
    exp_avg_sq.mul_(options.beta2).addcmul_(g, g, 1 - options.beta2);
    if (decay)
      value.mul_(1.0 - lr * options.weight_decay);
    value.addcdiv_(exp_avg, exp_avg_sq.sqrt().mul_(1.0 / std::sqrt(correction2)).add_(options.eps),
                   -lr / correction1);
    return;
  }
  const auto count = static_cast<std::size_t>(value.numel());
  const auto run = [&](auto* data, auto* m, auto* v) {
    if (fixed)
      adamw(*this, scale, decay, data, gradient.data_ptr<std::int64_t>(), m, v, count);
    else
      adamw(*this, scale, decay, data, gradient.data_ptr<std::remove_pointer_t<decltype(data)>>(),
            m, v, count);
  };
  if (value.scalar_type() == at::kDouble)
    run(value.data_ptr<double>(), exp_avg.data_ptr<double>(), exp_avg_sq.data_ptr<double>());
  else
    run(value.data_ptr<float>(), exp_avg.data_ptr<float>(), exp_avg_sq.data_ptr<float>());
}

} // namespace skippipe::model
