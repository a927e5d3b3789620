// A few microbatches on the real shard, to know what its tasks take before the first iteration.
#pragma once

#include "actors/clock.hpp"
#include "actors/shard_worker.hpp"

#include <cstdint>

namespace skippipe::actors {

struct warm_up_limits {
  std::uint32_t microbatches = 0; ///< 0: none are run.
  double seconds = 2;             ///< No further one begins after so long.
};

/// Runs on the shard's executor. Inputs have the job's shape and no meaning; the first microbatch is left out
/// where another one followed. Parameters, optimizer and random numbers are untouched, what gradients and slots
/// got is forgotten again, so training goes as it would have gone. Throws what the shard throws.
task_seconds warm_up(shard_worker& shard, stage_id stage, const warm_up_limits& limits,
                     const clock& time);

} // namespace skippipe::actors
