#include "model/ops.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

namespace skippipe::model::ops {

namespace {

at::ScalarType statistics_of(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 ? at::kFloat : x.scalar_type();
}

/// (B, T, heads, D) -> (B * groups, heads / groups * T, D), head-major rows.
at::Tensor grouped(const at::Tensor& x, std::int64_t groups) {
  const auto b = x.size(0), t = x.size(1), h = x.size(2), d = x.size(3);
  return x.transpose(1, 2).reshape({b * groups, h / groups * t, d});
}

/// The inverse of grouped().
at::Tensor ungrouped(const at::Tensor& x, std::int64_t batch, std::int64_t time,
                     std::int64_t heads) {
  return x.view({batch, heads, time, x.size(2)}).transpose(1, 2).contiguous();
}

} // namespace

norm_output rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const auto wide = x.to(statistics_of(x));
  auto rstd = wide.square().mean(-1, true).add_(eps).rsqrt_();
  return {(wide * rstd).to(x.scalar_type()).mul_(weight), std::move(rstd)};
}

at::Tensor rms_norm_again(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& rstd) {
  return (x.to(rstd.scalar_type()) * rstd).to(x.scalar_type()).mul_(weight);
}

norm_gradient rms_norm_backward(const at::Tensor& grad, const at::Tensor& x,
                                const at::Tensor& weight, const at::Tensor& rstd) {
  const auto type = rstd.scalar_type();
  const auto normed = x.to(type) * rstd;
  const auto wide = grad.to(type);
  auto scaled = wide * weight.to(type);
  const auto projection = (scaled * normed).mean(-1, true);
  auto input = scaled.sub_(normed * projection).mul_(rstd).to(x.scalar_type());
  return {std::move(input), (wide * normed).sum(0)};
}

std::pair<at::Tensor, at::Tensor> rotary_tables(std::int64_t time, std::int64_t channels,
                                                double theta, at::ScalarType type,
                                                const at::Device& device) {
  const auto options = at::TensorOptions{}.dtype(at::kDouble);
  const auto half = channels / 2;
  const auto frequency =
      at::pow(theta, at::arange(half, options).mul_(-2.0 / static_cast<double>(channels)));
  const auto angle = at::outer(at::arange(time, options), frequency);
  return {angle.cos().to(device, type), angle.sin().to(device, type)};
}

void rotate_(at::Tensor& x, const std::pair<at::Tensor, at::Tensor>& tables, bool inverse) {
  const auto half = x.size(3) / 2;
  const auto time = x.size(1);
  const auto cos = tables.first.narrow(0, 0, time).unsqueeze(1);
  auto sin = tables.second.narrow(0, 0, time).unsqueeze(1);
  if (inverse)
    sin = sin.neg();
  auto low = x.narrow(3, 0, half), high = x.narrow(3, half, half);
  const auto turned_low = low * cos - high * sin;
  const auto turned_high = high * cos + low * sin;
  low.copy_(turned_low);
  high.copy_(turned_high);
}

attention_output attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const auto b = q.size(0), t = q.size(1), h = q.size(2), groups = k.size(2);
  const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(3)));
  auto scores = at::bmm(grouped(q, groups), grouped(k, groups).transpose(1, 2));
  const auto mask = at::ones({t, t}, scores.options().dtype(at::kBool)).triu_(1);
  auto wide = scores.to(statistics_of(q)).mul_(scale).view({b * h, t, t});
  wide.masked_fill_(mask, -std::numeric_limits<double>::infinity());
  auto probabilities = at::softmax(wide, -1).to(q.scalar_type()).view(scores.sizes());
  return {ungrouped(at::bmm(probabilities, grouped(v, groups)), b, t, h), probabilities};
}

attention_gradient attention_backward(const at::Tensor& grad, const at::Tensor& q,
                                      const at::Tensor& k, const at::Tensor& v,
                                      const at::Tensor& probabilities) {
  const auto b = q.size(0), t = q.size(1), h = q.size(2), groups = k.size(2);
  const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(3)));
  const auto g = grouped(grad, groups);
  const auto gv = at::bmm(probabilities.transpose(1, 2), g);
  const auto wide = at::bmm(g, grouped(v, groups).transpose(1, 2)).to(statistics_of(q));
  const auto p = probabilities.to(wide.scalar_type());
  auto product = wide * p;
  const auto row = product.sum(-1, true);
  const auto gs = product.sub_(p * row).mul_(scale).to(q.scalar_type());
  return {ungrouped(at::bmm(gs, grouped(k, groups)), b, t, h),
          ungrouped(at::bmm(gs.transpose(1, 2), grouped(q, groups)), b, t, groups),
          ungrouped(gv, b, t, groups)};
}

at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up) { return at::silu(gate).mul_(up); }

std::pair<at::Tensor, at::Tensor> swiglu_backward(const at::Tensor& grad, const at::Tensor& gate,
                                                  const at::Tensor& up) {
  return {at::silu_backward(grad * up, gate), at::silu(gate).mul_(grad)};
}

at::Tensor cross_entropy_(at::Tensor& logits, const at::Tensor& targets, double grad_scale) {
  const auto index = targets.unsqueeze(1);
  auto log_probabilities = at::log_softmax(logits, 1);
  auto losses = log_probabilities.gather(1, index).squeeze(1).neg();
  if (grad_scale != 0) {
    at::exp_out(logits, log_probabilities);
    logits.scatter_add_(1, index, at::full_like(index, -1.0, logits.options()));
    logits.mul_(grad_scale);
  }
  return losses;
}

} // namespace skippipe::model::ops
