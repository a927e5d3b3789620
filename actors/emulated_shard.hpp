// A shard that takes the time it is told to take: a small model on few cores behaves like a large one on
// a machine of its own.
#pragma once

#include "actors/shard_worker.hpp"

#include <atomic>
#include <memory>

namespace skippipe::actors {

/// Real seconds of the three tasks, and how many tasks there were.
struct emulated_compute {
  double forward_s = 0, loss_s = 0, backward_s = 0;
  std::atomic<std::uint64_t> tasks{0};
  std::atomic<std::uint64_t> overruns{0}; ///< Tasks whose real compute took longer than that.
};

/// Computes for real, then waits on the compute worker's thread until the time is over. Evaluation,
/// reduction and update take what they take.
std::unique_ptr<shard_worker> make_emulated_shard(std::unique_ptr<shard_worker> inner,
                                                  std::shared_ptr<emulated_compute> times);

} // namespace skippipe::actors
