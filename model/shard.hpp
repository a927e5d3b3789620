// One stage's parameters and its forward, loss and backward, written out by hand (no autograd).
#pragma once

#include "model/shard_options.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

// Shapes: B batch (microbatch_size), T time (context), C channels (dim), H heads, V vocabulary.
namespace skippipe::model {

struct loss_result {
  double loss_sum = 0; ///< Sum of the token losses, natural log.
  std::int64_t tokens = 0;
  at::Tensor grad; ///< (B, T, C), times `scale`.
};

/// Values, gradients and optimizer state live in flat buffers, parameters in name order, so that
/// reduction, update, hash and snapshot each are one pass.
/// Not thread-safe: one compute worker at a time. Errors while building and bad shapes throw
/// std::invalid_argument; a non-finite or overflowing fixed-point gradient throws std::range_error.
class shard {
public:
  using slot = std::uint64_t; ///< Names a microbatch in flight.

  explicit shard(const shard_options&);
  ~shard();
  shard(shard&&) noexcept;
  shard& operator=(shard&&) noexcept;

  const std::vector<parameter_info>& parameters() const;
  std::int64_t size() const;   ///< Elements in all parameters.
  std::size_t context() const; ///< T, the longest input.

  /// Stage 0: tokens (B, T) int64 -> (B, T, C). Others: (B, T, C) -> (B, T, C) in the compute dtype.
  /// Keeps what backward needs under `key` until backward or drop.
  at::Tensor forward(slot key, const at::Tensor& input);
  /// Stage 0: final norm, head and cross entropy against targets (B, T) int64; adds the gradients of
  /// norm and head, each token's weighted by `scale` (1 / tokens of the iteration, R6).
  loss_result loss(slot key, const at::Tensor& hidden, const at::Tensor& targets, double scale);
  /// Adds this shard's parameter gradients and frees the slot; returns the gradient of the input
  /// (undefined for stage 0).
  at::Tensor backward(slot key, const at::Tensor& grad_output);
  void drop(slot key);
  std::vector<slot> slots() const; ///< In flight.

  /// Forward without keeping anything (validation, generation).
  at::Tensor infer(const at::Tensor& input);
  /// Stage 0, from hidden states: logits (B, T, V) float32; token losses (B, T) float32.
  at::Tensor logits(const at::Tensor& hidden);
  at::Tensor token_losses(const at::Tensor& hidden, const at::Tensor& targets);

  at::Tensor values();    ///< Flat master weights: float32 (float64 for float64 models).
  at::Tensor gradients(); ///< Flat accumulators: float32, float64 or int64 by `accumulate`.
  at::Tensor exp_avg();   ///< Flat first moments, like values().
  at::Tensor exp_avg_sq();
  void zero_gradients();
  void renew_gradients(); ///< Zero, in new memory: views of the old stay valid.
  /// float64 squared norm per parameter, in parameter order, of the reduced gradients.
  std::vector<double> squared_norms();
  /// AdamW with every gradient times `clip_factor`, learning rate of `iteration` (from 1); refreshes
  /// the compute copies.
  void step(std::uint64_t iteration, double clip_factor);
  /// After values() was written from outside (restore): refresh the compute copies.
  void values_changed();
  std::uint64_t hash(); ///< 64-bit hash of values().

private:
  struct state;
  std::unique_ptr<state> state_;
};

} // namespace skippipe::model
