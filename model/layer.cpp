#include "model/layer.hpp"

#include "model/ops.hpp"

#include <ATen/ATen.h>

namespace skippipe::model {

namespace {

/// x (N, in) times weight (out, in), transposed.
at::Tensor project(const at::Tensor& x, const at::Tensor& weight) { return at::mm(x, weight.t()); }

at::Tensor heads_of(const at::Tensor& x, std::int64_t time, std::int64_t heads) {
  return x.view({x.size(0) / time, time, heads, x.size(1) / heads});
}

at::Tensor rows_of(const at::Tensor& x) {
  return x.view({x.size(0) * x.size(1), x.size(2) * x.size(3)});
}

} // namespace

at::Tensor layer_forward(const model_options& options, const layer_weights& weights,
                         const rotary& tables, std::int64_t time, const at::Tensor& x,
                         layer_saved* saved) {
  auto normed = ops::rms_norm(x, weights.input_norm, options.norm_eps);
  auto q = heads_of(project(normed.output, weights.q), time, options.heads);
  auto k = heads_of(project(normed.output, weights.k), time, options.kv_heads);
  auto v = heads_of(project(normed.output, weights.v), time, options.kv_heads);
  ops::rotate_(q, tables, false);
  ops::rotate_(k, tables, false);
  auto attention = ops::attention(q, k, v);
  auto attended = rows_of(attention.output);
  auto middle = at::addmm(x, attended, weights.o.t());
  auto post = ops::rms_norm(middle, weights.post_norm, options.norm_eps);
  auto gate = project(post.output, weights.gate);
  auto up = project(post.output, weights.up);
  auto output = at::addmm(middle, ops::swiglu(gate, up), weights.down.t());
  if (saved != nullptr) {
    saved->input = x;
    if (!options.recompute) {
      saved->input_rstd = normed.rstd;
      saved->q = q;
      saved->k = k;
      saved->v = v;
      saved->probabilities = attention.probabilities;
      saved->attended = attended;
      saved->middle = middle;
      saved->middle_rstd = post.rstd;
      saved->gate = gate;
      saved->up = up;
    }
  }
  return output;
}

at::Tensor layer_backward(const model_options& options, const layer_weights& weights,
                          const layer_sinks& sinks, const rotary& tables, std::int64_t time,
                          layer_saved saved, const at::Tensor& grad) {
  if (!saved.gate.defined()) {
    auto again = options;
    again.recompute = false;
    layer_forward(again, weights, tables, time, saved.input, &saved);
  }
  // Feed-forward.
  {
    const auto activated = ops::swiglu(saved.gate, saved.up);
    sinks.down.add_product(grad, activated);
  }
  auto [gate_grad, up_grad] =
      ops::swiglu_backward(at::mm(grad, weights.down), saved.gate, saved.up);
  saved.gate = saved.up = at::Tensor{};
  auto normed = ops::rms_norm_again(saved.middle, weights.post_norm, saved.middle_rstd);
  sinks.gate.add_product(gate_grad, normed);
  sinks.up.add_product(up_grad, normed);
  auto normed_grad = at::mm(gate_grad, weights.gate).addmm_(up_grad, weights.up);
  auto norm =
      ops::rms_norm_backward(normed_grad, saved.middle, weights.post_norm, saved.middle_rstd);
  sinks.post_norm.add(norm.weight);
  auto middle_grad = norm.input.add_(grad);

  // Attention.
  sinks.o.add_product(middle_grad, saved.attended);
  auto attention =
      ops::attention_backward(heads_of(at::mm(middle_grad, weights.o), time, options.heads),
                              saved.q, saved.k, saved.v, saved.probabilities);
  saved.probabilities = at::Tensor{};
  ops::rotate_(attention.q, tables, true);
  ops::rotate_(attention.k, tables, true);
  const auto q_grad = rows_of(attention.q), k_grad = rows_of(attention.k),
             v_grad = rows_of(attention.v);
  normed = ops::rms_norm_again(saved.input, weights.input_norm, saved.input_rstd);
  sinks.q.add_product(q_grad, normed);
  sinks.k.add_product(k_grad, normed);
  sinks.v.add_product(v_grad, normed);
  normed_grad = at::mm(q_grad, weights.q).addmm_(k_grad, weights.k).addmm_(v_grad, weights.v);
  norm = ops::rms_norm_backward(normed_grad, saved.input, weights.input_norm, saved.input_rstd);
  sinks.input_norm.add(norm.weight);
  return norm.input.add_(middle_grad);
}

} // namespace skippipe::model
