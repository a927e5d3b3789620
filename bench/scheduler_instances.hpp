// Planning problems of any size, made from a seed: regions on a map, unlike nodes, links by distance.
#pragma once

#include "scheduler/instance.hpp"

#include <cstdint>

namespace skippipe::bench {

struct generator_options {
  std::uint32_t nodes = 1000;
  std::uint32_t stages = 20;
  std::uint32_t path_length = 14;
  std::uint32_t microbatches_per_origin = 6;
  std::uint32_t regions = 40;
  double compute_low_s = 0.9, compute_high_s = 3.6; ///< Of one stage's forward.
  std::uint32_t memory_low = 2, memory_high = 6;
  std::uint64_t seed = 1;
};

/// Nodes in regions that lie at random on the unit square. A payload takes about 0.35 s within a
/// region and up to about 5 s across the map, each direction of a link within 10 % of that. Stage 0
/// gets half again as many nodes as any other (it serves every microbatch); the arrangement is free.
scheduler::instance generated_instance(const generator_options& options);

/// What the size tables use: 20, 60, 200 and 1000 nodes get 6, 8, 10 and 20 stages.
generator_options options_for_size(std::uint32_t nodes, std::uint64_t seed);

} // namespace skippipe::bench
