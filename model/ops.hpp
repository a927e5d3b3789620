// The pieces of a LLaMA layer with their gradients, on ATen: one formula each, any device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>

// Shapes: N = B * T rows, C channels, D = C / H channels of a head, K key-value heads.
// Statistics (norms, softmax, loss) are float32 for bfloat16 tensors, else in the tensor's dtype.
namespace skippipe::model::ops {

struct norm_output {
  at::Tensor output; ///< Like x.
  at::Tensor rstd;   ///< (N, 1): 1 / root mean square.
};

/// x (N, C) scaled to unit root mean square, times weight (C).
norm_output rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);
/// The output again from what was saved.
at::Tensor rms_norm_again(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& rstd);

struct norm_gradient {
  at::Tensor input;  ///< (N, C)
  at::Tensor weight; ///< (C)
};
norm_gradient rms_norm_backward(const at::Tensor& grad, const at::Tensor& x,
                                const at::Tensor& weight, const at::Tensor& rstd);

/// Rotary tables of `time` positions and heads of `channels`: cos and sin, (T, D / 2) each.
std::pair<at::Tensor, at::Tensor> rotary_tables(std::int64_t time, std::int64_t channels,
                                                double theta, at::ScalarType type,
                                                const at::Device& device);
/// Rotates x (B, T, heads, D) in place, by halves as Hugging Face does; `inverse` turns back.
void rotate_(at::Tensor& x, const std::pair<at::Tensor, at::Tensor>& tables, bool inverse);

struct attention_output {
  at::Tensor output;        ///< (B, T, H, D)
  at::Tensor probabilities; ///< (B * K, H / K * T, T)
};
/// Causal attention of q (B, T, H, D) over k, v (B, T, K, D).
attention_output attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

struct attention_gradient {
  at::Tensor q, k, v;
};
attention_gradient attention_backward(const at::Tensor& grad, const at::Tensor& q,
                                      const at::Tensor& k, const at::Tensor& v,
                                      const at::Tensor& probabilities);

/// silu(gate) * up.
at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up);
/// Gradients of gate and up.
std::pair<at::Tensor, at::Tensor> swiglu_backward(const at::Tensor& grad, const at::Tensor& gate,
                                                  const at::Tensor& up);

/// Per-token cross entropy (N) of logits (N, V), natural log. With `grad_scale` non-zero the logits
/// become their gradient, each token's weighted by it.
at::Tensor cross_entropy_(at::Tensor& logits, const at::Tensor& targets, double grad_scale);

} // namespace skippipe::model::ops
