#include "scheduler_instances.hpp"

#include "scheduler/random.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace skippipe::bench {

using namespace scheduler;

instance generated_instance(const generator_options& options) {
  random_source random(options.seed);
  const auto between = [&](double low, double high) { return low + random.unit() * (high - low); };
  const auto cents = [](double x) { return std::round(x * 100) / 100; };
  instance x;
  x.name = "generated" + std::to_string(options.nodes) + "_seed" + std::to_string(options.seed);
  x.stages = options.stages;
  x.path_length = options.path_length;
  x.microbatches_per_origin = options.microbatches_per_origin;

  struct place {
    double east, north;
  };
  std::vector<place> regions(options.regions);
  for (place& p : regions)
    p = {random.unit(), random.unit()};
  std::vector<std::uint32_t> region_of;
  for (std::uint32_t n = 0; n < options.nodes; ++n) {
    const std::uint32_t r = random.below(options.regions);
    region_of.push_back(r);
    const std::uint32_t spread = options.memory_high - options.memory_low + 1;
    x.nodes.push_back({"n" + std::to_string(n), "region" + std::to_string(r),
                       cents(between(options.compute_low_s, options.compute_high_s)),
                       options.memory_low + random.below(spread)});
  }
  for (std::uint32_t a = 0; a < options.nodes; ++a)
    for (std::uint32_t b = 0; b < options.nodes; ++b) {
      const place &p = regions[region_of[a]], &q = regions[region_of[b]];
      const double far = std::hypot(p.east - q.east, p.north - q.north);
      x.link_s.push_back(a == b ? 0 : (0.35 + 3.5 * far) * between(0.9, 1.1));
    }

  const double share = options.nodes / (options.stages + 0.5);
  const auto others = static_cast<std::uint32_t>(share);
  x.stage_sizes.assign(options.stages, std::max(1U, others));
  x.stage_sizes[0] = options.nodes - (options.stages - 1) * x.stage_sizes[1];
  return x;
}

generator_options options_for_size(std::uint32_t nodes, std::uint64_t seed) {
  generator_options options;
  options.nodes = nodes;
  options.seed = seed;
  options.stages = nodes <= 30 ? 6 : nodes <= 100 ? 8 : nodes <= 500 ? 10 : 20;
  options.path_length = nodes <= 30 ? 4 : nodes <= 100 ? 6 : nodes <= 500 ? 7 : 14;
  options.regions = std::max(4U, nodes / 10);
  return options;
}

} // namespace skippipe::bench
