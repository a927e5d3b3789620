#include "actors/warm_up.hpp"

#include "actors/task_sums.hpp"

namespace skippipe::actors {

using scheduler::task_kind;

task_seconds warm_up(shard_worker& shard, stage_id stage, const warm_up_limits& limits,
                     const clock& time) {
  if (limits.microbatches == 0)
    return {};
  const auto begin = time.now_ns();
  const auto last = begin + static_cast<std::int64_t>(1e9 * limits.seconds);
  task_sums sums;
  const auto timed = [&](task_kind kind, auto work) {
    const auto started = time.now_ns();
    work();
    sums.add(kind, time.now_ns() - started);
  };
  for (std::uint32_t i = 0; i < limits.microbatches && (i == 0 || time.now_ns() < last); ++i) {
    if (i == 1)
      sums = {}; // The first one was for caches and memory.
    const auto blank = shard.blank();
    if (stage == 0) {
      timed(task_kind::forward, [&] { shard.first_forward(i, 1, 0); });
      // Small, so that a gradient in fixed point cannot overflow.
      timed(task_kind::loss, [&] { shard.loss(i, blank, 1e-3); });
    } else {
      timed(task_kind::forward, [&] { shard.forward(i, blank); });
    }
    timed(task_kind::backward, [&] { shard.backward(i, shard.blank()); });
  }
  shard.reset();
  return sums.means();
}

} // namespace skippipe::actors
