// A shard_worker on LibTorch: the real layers behind the actors.
#pragma once

#include "actors/shard_worker.hpp"
#include "model/shard_options.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace skippipe::model {
class shard;
struct shard_snapshot;
} // namespace skippipe::model

namespace skippipe::actors {

/// Where an origin's samples come from; pure functions, thread-safe. Each returns B * (T + 1) tokens:
/// the inputs are the first T of each row, the targets the last T.
struct sample_source {
  std::function<std::vector<std::int64_t>(iteration_no, microbatch_id)> training;
  std::function<std::vector<std::int64_t>(microbatch_id batch)> validation;
};

struct torch_shard_options {
  model::shard_options shard;
  std::uint32_t microbatch_size = 1; ///< B.
  sample_source samples;             ///< Stage 0 only.
  /// Activations and their gradients travel as bfloat16, whatever is computed in.
  bool wire_bfloat16 = false;
  /// Writes a snapshot; runs on a background thread; throws on failure.
  std::function<void(const model::shard_snapshot&)> write_snapshot;
  /// Fills values and optimizer state after construction (restore); empty for a fresh start.
  std::function<void(model::shard&)> restore;
};

/// Throws where the shard cannot be built or restored.
std::unique_ptr<shard_worker> make_torch_shard(torch_shard_options options);

/// Intra-op threads of the calling thread; compute workers call it first.
void limit_intra_op_threads(int threads);

} // namespace skippipe::actors
