#include "model/ops.hpp"

#include "model/fused.hpp"
#include "model/kernels.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <limits>

namespace skippipe::model::ops {

namespace {

at::ScalarType statistics_of(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 ? at::kFloat : x.scalar_type();
}

/// Calls `body` with a value of the tensor's element type.
template <class Body>
void by_type(const at::Tensor& x, Body body) {
  switch (x.scalar_type()) {
    case at::kFloat:
      return body(float{});
    case at::kDouble:
      return body(double{});
    case at::kBFloat16:
      return body(c10::BFloat16{});
    default:
      TORCH_CHECK(false, "unsupported dtype ", x.scalar_type());
  }
}

/// Runs body(first row, rows) over pieces of [0, rows), in parallel where the caller may.
template <class Body>
void over_rows(std::int64_t rows, std::int64_t row_size, Body body) {
  const auto grain = std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, row_size));
  at::parallel_for(0, rows, grain,
                   [&](std::int64_t first, std::int64_t last) { body(first, last - first); });
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
  if (uses_fused_loops(x)) {
    norm_output result{at::empty_like(x),
                       at::empty({x.size(0), 1}, x.options().dtype(statistics_of(x)))};
    by_type(x, [&](auto element) {
      using T = decltype(element);
      using S = kernels::statistics_t<T>;
      const auto channels = x.size(1);
      const auto *in = x.data_ptr<T>(), *w = weight.data_ptr<T>();
      auto* out = result.output.data_ptr<T>();
      auto* rstd = result.rstd.template data_ptr<S>();
      over_rows(x.size(0), channels, [=](std::int64_t row, std::int64_t rows) {
        kernels::rms_norm<T>(in + row * channels, w, out + row * channels, rstd + row, rows,
                             channels, eps);
      });
    });
    return result;
  }
  const auto wide = x.to(statistics_of(x));
  auto rstd = wide.square().mean(-1, true).add_(eps).rsqrt_();
  return {(wide * rstd).to(x.scalar_type()).mul_(weight), std::move(rstd)};
}

at::Tensor rms_norm_again(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& rstd) {
  if (uses_fused_loops(x)) {
    auto result = at::empty_like(x);
    by_type(x, [&](auto element) {
      using T = decltype(element);
      using S = kernels::statistics_t<T>;
      const auto channels = x.size(1);
      const auto *in = x.data_ptr<T>(), *w = weight.data_ptr<T>();
      const auto* scale = rstd.data_ptr<S>();
      auto* out = result.data_ptr<T>();
      over_rows(x.size(0), channels, [=](std::int64_t row, std::int64_t rows) {
        kernels::rms_norm_again<T>(in + row * channels, w, scale + row, out + row * channels, rows,
                                   channels);
      });
    });
    return result;
  }
  return (x.to(rstd.scalar_type()) * rstd).to(x.scalar_type()).mul_(weight);
}

norm_gradient rms_norm_backward(const at::Tensor& grad, const at::Tensor& x,
                                const at::Tensor& weight, const at::Tensor& rstd) {
  if (uses_fused_loops(x)) {
    // Pieces of a fixed size, summed in order: the result does not depend on the thread count.
    constexpr std::int64_t piece = 256;
    const auto rows = x.size(0), channels = x.size(1), pieces = (rows + piece - 1) / piece;
    norm_gradient result{at::empty_like(x), {}};
    const auto partial = at::zeros({pieces, channels}, rstd.options());
    by_type(x, [&](auto element) {
      using T = decltype(element);
      using S = kernels::statistics_t<T>;
      const auto *g = grad.data_ptr<T>(), *in = x.data_ptr<T>(), *w = weight.data_ptr<T>();
      const auto* scale = rstd.data_ptr<S>();
      auto* out = result.input.data_ptr<T>();
      auto* sums = partial.template data_ptr<S>();
      at::parallel_for(0, pieces, 1, [=](std::int64_t first, std::int64_t last) {
        for (auto i = first; i < last; ++i) {
          const auto row = i * piece, at_element = row * channels;
          kernels::rms_norm_backward<T>(g + at_element, in + at_element, w, scale + row,
                                        out + at_element, sums + i * channels,
                                        std::min(piece, rows - row), channels);
        }
      });
    });
    result.weight = pieces == 1 ? partial.view({channels}) : partial.sum(0);
    return result;
  }
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
  if (uses_fused_loops(x) && x.is_contiguous()) {
    by_type(x, [&](auto element) {
      using T = decltype(element);
      const auto heads = x.size(2), channels = x.size(3);
      const auto *c = tables.first.data_ptr<T>(), *s = tables.second.data_ptr<T>();
      auto* data = x.data_ptr<T>();
      at::parallel_for(0, x.size(0), 1, [=](std::int64_t first, std::int64_t last) {
        kernels::rotate<T>(data + first * time * heads * channels, c, s, (last - first) * time,
                           time, heads, channels, inverse ? -1 : 1);
      });
    });
    return;
  }
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
  if (uses_fused_loops(q)) {
    by_type(q, [&](auto element) {
      using T = decltype(element);
      auto* data = scores.template data_ptr<T>();
      // Whole heads, so that a piece starts at the first position.
      at::parallel_for(0, b * h, 1, [=](std::int64_t first, std::int64_t last) {
        kernels::causal_softmax<T>(data + first * t * t, (last - first) * t, t, scale);
      });
    });
    return {ungrouped(at::bmm(scores, grouped(v, groups)), b, t, h), scores};
  }
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
  auto scores_grad = at::bmm(g, grouped(v, groups).transpose(1, 2));
  if (uses_fused_loops(q)) {
    by_type(q, [&](auto element) {
      using T = decltype(element);
      auto* data = scores_grad.template data_ptr<T>();
      const auto* p = probabilities.data_ptr<T>();
      at::parallel_for(0, b * h, 1, [=](std::int64_t first, std::int64_t last) {
        kernels::softmax_backward<T>(data + first * t * t, p + first * t * t, (last - first) * t, t,
                                     scale);
      });
    });
    return {ungrouped(at::bmm(scores_grad, grouped(k, groups)), b, t, h),
            ungrouped(at::bmm(scores_grad.transpose(1, 2), grouped(q, groups)), b, t, groups),
            ungrouped(gv, b, t, groups)};
  }
  const auto wide = scores_grad.to(statistics_of(q));
  const auto p = probabilities.to(wide.scalar_type());
  auto product = wide * p;
  const auto row = product.sum(-1, true);
  const auto gs = product.sub_(p * row).mul_(scale).to(q.scalar_type());
  return {ungrouped(at::bmm(gs, grouped(k, groups)), b, t, h),
          ungrouped(at::bmm(gs.transpose(1, 2), grouped(q, groups)), b, t, groups),
          ungrouped(gv, b, t, groups)};
}

at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up) {
  if (!uses_fused_loops(gate))
    return at::silu(gate).mul_(up);
  auto result = at::empty_like(gate);
  by_type(gate, [&](auto element) {
    using T = decltype(element);
    const auto *g = gate.data_ptr<T>(), *u = up.data_ptr<T>();
    auto* out = result.data_ptr<T>();
    at::parallel_for(0, gate.numel(), 16384, [=](std::int64_t first, std::int64_t last) {
      kernels::swiglu<T>(g + first, u + first, out + first, last - first);
    });
  });
  return result;
}

std::pair<at::Tensor, at::Tensor> swiglu_backward(const at::Tensor& grad, const at::Tensor& gate,
                                                  const at::Tensor& up) {
  if (uses_fused_loops(gate)) {
    auto gate_grad = at::empty_like(gate), up_grad = at::empty_like(up);
    by_type(gate, [&](auto element) {
      using T = decltype(element);
      const auto *d = grad.data_ptr<T>(), *g = gate.data_ptr<T>(), *u = up.data_ptr<T>();
      auto *to_gate = gate_grad.data_ptr<T>(), *to_up = up_grad.data_ptr<T>();
      at::parallel_for(0, gate.numel(), 16384, [=](std::int64_t first, std::int64_t last) {
        kernels::swiglu_backward<T>(d + first, g + first, u + first, to_gate + first, to_up + first,
                                    last - first);
      });
    });
    return {std::move(gate_grad), std::move(up_grad)};
  }
  return {at::silu_backward(grad * up, gate), at::silu(gate).mul_(grad)};
}

at::Tensor cross_entropy_(at::Tensor& logits, const at::Tensor& targets, double grad_scale) {
  if (uses_fused_loops(logits) && logits.is_contiguous() && logits.scalar_type() != at::kBFloat16) {
    auto losses = at::empty({logits.size(0)}, logits.options());
    const auto vocabulary = logits.size(1);
    const auto wanted = targets.contiguous();
    const auto* ids = wanted.data_ptr<std::int64_t>();
    const auto run = [&](auto* data, auto* out) {
      using T = std::remove_pointer_t<decltype(out)>;
      over_rows(logits.size(0), vocabulary, [=](std::int64_t row, std::int64_t rows) {
        kernels::cross_entropy<T>(data + row * vocabulary, ids + row, out + row, rows, vocabulary,
                                  grad_scale);
      });
    };
    if (logits.scalar_type() == at::kDouble)
      run(logits.data_ptr<double>(), losses.data_ptr<double>());
    else
      run(logits.data_ptr<float>(), losses.data_ptr<float>());
    return losses;
  }
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
