#include "model/options.hpp"

#include <numeric>

namespace skippipe::model {

std::vector<shard_range> partition(std::uint32_t layers, std::uint32_t stages,
                                   const std::vector<std::uint32_t>& layers_per_stage) {
  auto counts = layers_per_stage;
  if (counts.empty() && stages > 0) {
    counts.assign(stages, layers / stages);
    // What is left over goes to stages 1, 2, ...: stage 0 has the embedding and the head besides.
    for (std::uint32_t i = 0; i < layers % stages; ++i)
      ++counts[(i + 1) % stages];
  }
  if (counts.size() != stages
      || std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}) != layers)
    return {};
  std::vector<shard_range> result;
  std::uint32_t first = 0;
  for (std::uint32_t stage = 0; stage < stages; ++stage) {
    result.push_back({stage, first, counts[stage]});
    first += counts[stage];
  }
  return result;
}

} // namespace skippipe::model
