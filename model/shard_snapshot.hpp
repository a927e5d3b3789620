// A stage's parameters and optimizer state as a copy, and their way into and out of checkpoints.
#pragma once

#include "model/checkpoint_reader.hpp"
#include "model/checkpoint_writer.hpp"
#include "model/shard.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace skippipe::model {

/// Flat CPU copies, in the shard's layout.
struct shard_snapshot {
  std::uint64_t iteration = 0; ///< The commit they are of.
  std::uint32_t stage = 0;
  std::vector<parameter_info> parameters;
  at::Tensor values, exp_avg, exp_avg_sq;
};

/// Copies now; the shard may go on changing.
shard_snapshot take_snapshot(shard& from, std::uint32_t stage, std::uint64_t iteration);

/// Writes the stage's two files. Throws std::runtime_error with one line.
void write_snapshot(checkpoint_writer& to, const shard_snapshot& snapshot);

/// Fills values and moments by name, whatever the checkpoint's stages were. Throws
/// std::runtime_error where a tensor is missing or of another type or shape.
void restore_shard(shard& into, const checkpoint_reader& from);

} // namespace skippipe::model
