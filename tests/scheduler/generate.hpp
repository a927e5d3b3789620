// Random small planning problems for property tests.
#pragma once

#include "scheduler/arrangement.hpp"
#include "scheduler/instance.hpp"
#include "scheduler/random.hpp"

namespace skippipe::scheduler::testing {

/// A random feasible instance of at most `max_stages` stages; about half have a fixed arrangement.
inline instance random_instance(random_source& random, std::uint32_t max_stages = 6,
                                std::uint32_t max_replicas = 3) {
  instance x;
  x.name = "random";
  x.stages = 1 + random.below(max_stages);
  for (stage_id s = 0; s < x.stages; ++s)
    x.stage_sizes.push_back(1 + random.below(max_replicas));
  std::uint32_t count = 0;
  for (std::uint32_t size : x.stage_sizes)
    count += size;
  for (node_id n = 0; n < count; ++n)
    x.nodes.push_back({"n" + std::to_string(n), "x", 0.5 + random.unit() * 3, 1 + random.below(4)});
  for (std::uint32_t i = 0; i < count * count; ++i)
    x.link_s.push_back(i % (count + 1) == 0 ? 0 : random.unit() * 4);
  x.path_length = x.stages == 1 ? 1 : 2 + random.below(x.stages - 1);
  x.microbatches_per_origin = 1 + random.below(5);
  x.limits.max_jump = (x.stages - 1 + x.path_length) / x.path_length + 1 + random.below(4);
  x.limits.max_swaps = random.below(4);
  x.limits.max_swap_distance = random.below(4);
  x.limits.max_total_swap_distance = random.below(5);
  if (random.below(2))
    x.arrangement = simple_arrangement(x);
  return x;
}

} // namespace skippipe::scheduler::testing
