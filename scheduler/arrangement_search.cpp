#include "scheduler/arrangement_search.hpp"

#include "scheduler/arrangement_estimate.hpp"

#include <cmath>

namespace skippipe::scheduler {

std::vector<std::vector<node_id>>
improve_arrangement(const instance& problem, std::vector<std::vector<node_id>> arrangement,
                    std::uint64_t steps, std::chrono::steady_clock::time_point deadline,
                    random_source& random) {
  if (arrangement.size() < 2)
    return arrangement;
  arrangement_estimate estimate(problem);
  double value = estimate(arrangement), best_value = value;
  auto best = arrangement;
  const double hot = 0.02 * value, cold = 0.0002 * value;
  const auto any_node = [&] {
    auto at = random.below(static_cast<std::uint32_t>(problem.nodes.size()));
    for (auto& nodes : arrangement) {
      if (at < nodes.size())
        return &nodes[at];
      at -= static_cast<std::uint32_t>(nodes.size());
    }
    return &arrangement[0][0];
  };
  for (std::uint64_t i = 0; i < steps; ++i) {
    if (i % 16 == 0 && std::chrono::steady_clock::now() >= deadline)
      break;
    node_id* const a = any_node();
    node_id* const b = any_node();
    std::swap(*a, *b);
    const double next = estimate(arrangement);
    const double heat = hot * std::pow(cold / hot, double(i) / double(steps));
    if (next > value - heat * std::log(1 - random.unit())) {
      std::swap(*a, *b);
      continue;
    }
    value = next;
    if (value < best_value) {
      best_value = value;
      best = arrangement;
    }
  }
  return best;
}

} // namespace skippipe::scheduler
