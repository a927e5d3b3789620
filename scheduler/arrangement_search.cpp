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

std::vector<std::vector<node_id>>
change_few_roles(const instance& problem, std::vector<std::vector<node_id>> arrangement,
                 stage_id needy, const std::vector<std::uint8_t>& stays, double worth,
                 std::chrono::steady_clock::time_point deadline) {
  arrangement_estimate estimate(problem);
  double value = estimate(arrangement);
  for (int round = 0; round < 2; ++round) {
    auto best = arrangement;
    double gain = 0, best_value = value;
    const auto look = [&](double moving) {
      const double next = estimate(arrangement);
      const double gained = value - next - worth * moving * value;
      if (gained <= gain)
        return;
      gain = gained;
      best_value = next;
      best = arrangement;
    };
    auto& target = arrangement[needy];
    for (stage_id s = 0; s < arrangement.size(); ++s) {
      auto& source = arrangement[s];
      for (std::size_t i = 0; i < source.size() && s != needy; ++i) {
        if (std::chrono::steady_clock::now() >= deadline)
          return best;
        if (stays[source[i]])
          continue;
        for (node_id& other : target) {
          if (stays[other])
            continue;
          std::swap(source[i], other);
          look(2);
          std::swap(source[i], other);
        }
        // An origin that went over would take its share of the microbatches along.
        if (problem.stage_sizes.empty() && s != 0 && needy != 0 && source.size() > 1) {
          const auto at = static_cast<std::ptrdiff_t>(i);
          target.push_back(source[i]);
          source.erase(source.begin() + at);
          look(1);
          source.insert(source.begin() + at, target.back());
          target.pop_back();
        }
      }
    }
    if (!(gain > 0))
      break;
    arrangement = best;
    value = best_value;
  }
  return arrangement;
}

} // namespace skippipe::scheduler
