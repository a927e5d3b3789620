// A stage's layers as the actors see them: payloads in, payloads out. The real one is LibTorch
// (torch_shard), the simulated one a cheap exact stand-in (simulation/hash_shard).
#pragma once

#include "actors/protocol/messages.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace skippipe::actors {

struct loss_output {
  double loss_sum = 0;
  std::int64_t tokens = 0;
  payload gradient;
};

/// One replica's shard. Called by its executor only, one call at a time. Errors throw; the stage
/// turns them into one line and the job fails with it.
class shard_worker {
public:
  using slot = std::uint64_t; ///< Names a microbatch in flight at this node.
  virtual ~shard_worker() = default;

  /// Origins take their samples (a pure function of seed, iteration and id) instead of an input.
  virtual payload first_forward(slot key, iteration_no iteration, microbatch_id id) = 0;
  virtual payload forward(slot key, const payload& input) = 0;
  /// `scale`: 1 / microbatches of the iteration; with the tokens per microbatch the mean of R6.
  virtual loss_output loss(slot key, const payload& hidden, double scale) = 0;
  virtual payload backward(slot key, const payload& gradient) = 0; ///< Empty at origins.
  /// Forgets everything in flight and every gradient (R5 replay). Views of the old gradient stay what
  /// they were: they may be on their way to a peer.
  virtual void reset() = 0;

  /// An activation or its gradient as this job has them, all zeros: for measuring.
  virtual payload blank() = 0;

  /// Evaluation: nothing is kept.
  virtual payload first_infer(microbatch_id batch) = 0;
  virtual payload infer(const payload& input) = 0;
  virtual loss_output infer_loss(microbatch_id batch, const payload& hidden) = 0;

  /// Elements of the flat gradient.
  virtual std::int64_t gradient_size() = 0;
  /// A view of [offset, offset + count) of the flat gradient, valid until the next update.
  virtual payload gradient_view(std::int64_t offset, std::int64_t count) = 0;
  /// gradient[offset..] = the sum of `shares` in order; the empty one stands for the own share.
  virtual void sum_shares(std::int64_t offset, std::span<const payload> shares) = 0;
  virtual void write_gradient(std::int64_t offset, const payload& sum) = 0;
  virtual std::vector<double> squared_norms() = 0;

  /// Update `iteration` with every gradient times `clip_factor`; clears the gradients.
  virtual void update(iteration_no iteration, double clip_factor) = 0;
  virtual void clear_gradients() = 0;
  virtual std::uint64_t hash() = 0; ///< Of the parameters.

  /// Copies parameters and optimizer state now (after update `iteration`) and returns the job that
  /// writes them, which may run on any thread and throws on failure.
  virtual std::function<void()> snapshot(iteration_no iteration) = 0;
};

/// Builds the shard of a stage; throws with one clear line.
using shard_factory =
    std::function<std::unique_ptr<shard_worker>(node_id node, const assign& order)>;

} // namespace skippipe::actors
