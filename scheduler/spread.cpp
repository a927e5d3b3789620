#include "scheduler/spread.hpp"

#include "scheduler/strategies.hpp"

#include <algorithm>
#include <limits>

namespace skippipe::scheduler {

namespace {

/// Seconds that one more hop takes forward and back: mean work, and links as near as can be had.
double seconds_per_hop(const instance& problem,
                       const std::vector<std::vector<node_id>>& arrangement) {
  double work = 0, links = 0;
  std::size_t nodes = 0;
  for (stage_id s = 1; s < arrangement.size(); ++s)
    for (const node_id n : arrangement[s]) {
      const task_costs c = problem.costs(n, s);
      work += c.forward_s + c.backward_s;
      double near = std::numeric_limits<double>::infinity();
      for (const node_id x : arrangement[s > 1 ? s - 1 : 0])
        near = std::min(near, problem.link(x, n) + problem.link(n, x));
      links += near;
      ++nodes;
    }
  return nodes == 0 ? 0 : (work + links) / double(nodes);
}

} // namespace

std::vector<path> spread_paths(const instance& problem,
                               const std::vector<std::vector<node_id>>& arrangement,
                               const std::vector<route>& routes, double pressure) {
  const auto origins = origins_in_turn(arrangement[0], static_cast<std::uint32_t>(routes.size()));
  const double hop_s = seconds_per_hop(problem, arrangement);
  std::vector<double> load(problem.nodes.size(), 0);
  const auto visit_load = [&](node_id n, const task_costs& c, std::size_t hops_after) {
    const double work = c.forward_s + c.backward_s;
    return std::max(work, (work + double(hops_after + 1) * hop_s) / problem.nodes[n].memory);
  };
  struct label {
    double cost;
    std::uint32_t from; ///< Index in the stage before.
  };
  std::vector<path> paths;
  std::vector<std::vector<label>> labels;
  for (microbatch_id m = 0; m < routes.size(); ++m) {
    const route& r = routes[m];
    path p{m, origins[m], std::vector<hop>(r.size())};
    labels.resize(r.size());
    std::uint32_t at = 0;
    for (std::size_t h = 0; h < r.size(); ++h) {
      labels[h].clear();
      double least = std::numeric_limits<double>::infinity();
      for (const node_id n : arrangement[r[h]]) {
        const task_costs c = problem.costs(n, r[h]);
        label best{std::numeric_limits<double>::infinity(), 0};
        const auto arrive = [&](double before, node_id last, std::uint32_t index) {
          const double cost = before + problem.link(last, n) + problem.link(n, last);
          if (cost < best.cost)
            best = {cost, index};
        };
        if (h == 0)
          arrive(0, p.origin, 0);
        else
          for (std::uint32_t i = 0; i < labels[h - 1].size(); ++i)
            arrive(labels[h - 1][i].cost, arrangement[r[h - 1]][i], i);
        best.cost +=
            c.forward_s + c.backward_s + pressure * (load[n] + visit_load(n, c, r.size() - 1 - h));
        labels[h].push_back(best);
        const double home =
            h + 1 < r.size() ? 0 : problem.link(n, p.origin) + problem.link(p.origin, n);
        if (best.cost + home < least) {
          least = best.cost + home;
          at = static_cast<std::uint32_t>(labels[h].size() - 1);
        }
      }
    }
    for (std::size_t h = r.size(); h > 0; --h) {
      const node_id n = arrangement[r[h - 1]][at];
      p.hops[h - 1] = {r[h - 1], n};
      load[n] += visit_load(n, problem.costs(n, r[h - 1]), r.size() - h);
      at = labels[h - 1][at].from;
    }
    paths.push_back(std::move(p));
  }
  return paths;
}

} // namespace skippipe::scheduler
