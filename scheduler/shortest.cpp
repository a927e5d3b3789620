#include "scheduler/shortest.hpp"

#include <cstddef>
#include <limits>

namespace skippipe::scheduler {

std::vector<hop> shortest_nodes(const instance& problem,
                                const std::vector<std::vector<node_id>>& arrangement,
                                node_id origin, const route& r) {
  struct label {
    double cost;
    std::uint32_t from; ///< Index in the stage before.
  };
  const auto both = [&](node_id a, node_id b) { return problem.link(a, b) + problem.link(b, a); };
  std::vector<std::vector<label>> labels(r.size());
  for (std::size_t h = 0; h < r.size(); ++h) {
    for (const node_id n : arrangement[r[h]]) {
      const task_costs c = problem.costs(n, r[h]);
      label best{std::numeric_limits<double>::infinity(), 0};
      if (h == 0) {
        best.cost = both(origin, n);
      } else {
        const auto& before = arrangement[r[h - 1]];
        for (std::uint32_t i = 0; i < before.size(); ++i) {
          const double cost = labels[h - 1][i].cost + both(before[i], n);
          if (cost < best.cost)
            best = {cost, i};
        }
      }
      best.cost += c.forward_s + c.backward_s + (h + 1 == r.size() ? both(n, origin) : 0);
      labels[h].push_back(best);
    }
  }
  std::vector<hop> hops(r.size());
  std::uint32_t at = 0;
  for (std::size_t h = r.size(); h > 0; --h) {
    if (h == r.size())
      for (std::uint32_t i = 1; i < labels[h - 1].size(); ++i)
        if (labels[h - 1][i].cost < labels[h - 1][at].cost)
          at = i;
    hops[h - 1] = {r[h - 1], arrangement[r[h - 1]][at]};
    at = labels[h - 1][at].from;
  }
  return hops;
}

} // namespace skippipe::scheduler
