// One transformer layer, forward and backward.
#pragma once

#include "model/gradient_sink.hpp"
#include "model/options.hpp"

#include <ATen/core/Tensor.h>

#include <utility>

namespace skippipe::model {

struct layer_weights {
  at::Tensor input_norm, q, k, v, o, post_norm, gate, up, down; ///< In the compute dtype.
};
struct layer_sinks {
  gradient_sink input_norm, q, k, v, o, post_norm, gate, up, down;
};

/// What a layer keeps for its backward; with recomputation only `input`.
struct layer_saved {
  at::Tensor input;               ///< (N, C)
  at::Tensor input_rstd;          ///< (N, 1)
  at::Tensor q, k, v;             ///< (B, T, heads, D), rotated
  at::Tensor probabilities;       ///< See ops::attention.
  at::Tensor attended;            ///< (N, H * D)
  at::Tensor middle, middle_rstd; ///< (N, C), (N, 1): after the attention's residual
  at::Tensor gate, up;            ///< (N, F)
};

using rotary = std::pair<at::Tensor, at::Tensor>;

/// x (B * T, C) -> (B * T, C). `saved` may be null: nothing is kept.
at::Tensor layer_forward(const model_options& options, const layer_weights& weights,
                         const rotary& tables, std::int64_t time, const at::Tensor& x,
                         layer_saved* saved);

/// Adds the weights' gradients to `sinks` and returns the input's. Recomputes the forward first
/// where only the input was kept.
at::Tensor layer_backward(const model_options& options, const layer_weights& weights,
                          const layer_sinks& sinks, const rotary& tables, std::int64_t time,
                          layer_saved saved, const at::Tensor& grad);

} // namespace skippipe::model
