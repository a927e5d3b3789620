// How much memory a node needs for its shard, from the sizes alone.
#pragma once

#include "model/options.hpp"

#include <cstdint>

namespace skippipe::runtime {

struct memory_question {
  model::model_options model;
  model::shard_range range;
  std::uint32_t microbatch_size = 1;
  std::uint32_t memory_microbatches = 1; ///< In flight at most (R4).
  bool deterministic = false;            ///< 64-bit gradients (R12).
  bool snapshot = false;                 ///< Writes checkpoints.
};

/// Bytes. What a task needs only while it runs (at most some layers' worth, and the loss's 64 MiB)
/// and the process itself (about 160 MB with LibTorch) come on top.
struct memory_estimate {
  std::uint64_t weights = 0; ///< Master weights, and the compute copy where that is bfloat16.
  std::uint64_t gradients = 0;
  std::uint64_t optimizer = 0;   ///< AdamW's two moments.
  std::uint64_t activations = 0; ///< Of all microbatches in flight.
  std::uint64_t boundary = 0;    ///< What a hop sends and receives, F and B, of those in flight.
  std::uint64_t snapshot = 0;    ///< Weights and moments, copied while a checkpoint is written.
  std::uint64_t total() const {
    return weights + gradients + optimizer + activations + boundary + snapshot;
  }
};

memory_estimate estimate_memory(const memory_question& question);

/// Bytes that one microbatch in flight keeps at this stage between its forward and its backward.
std::uint64_t activation_bytes(const memory_question& question);

} // namespace skippipe::runtime
