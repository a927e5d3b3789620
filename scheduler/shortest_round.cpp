#include "scheduler/shortest_round.hpp"

#include "scheduler/path_rules.hpp"

#include <algorithm>
#include <limits>
#include <queue>

namespace skippipe::scheduler {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::size_t many_nodes = 300;   ///< Beyond, one table serves all origins.
constexpr std::size_t most_tried = 30000; ///< Continuations of paths in one origin's search.

} // namespace

shortest_round::shortest_round(const instance& problem) : problem_(problem) {
  const auto count = static_cast<node_id>(problem.nodes.size());
  stage_.assign(count, free_stage);
  for (stage_id s = 0; s < problem.arrangement.size(); ++s)
    for (const node_id n : problem.arrangement[s])
      stage_[n] = s;
  for (node_id n = 0; n < count; ++n) {
    task_costs least{infinity, infinity, infinity};
    for (stage_id s = 1; s < problem.stages; ++s) {
      if (stage_[n] != free_stage && stage_[n] != s)
        continue;
      const task_costs c = problem.costs(n, s);
      least.forward_s = std::min(least.forward_s, c.forward_s);
      least.backward_s = std::min(least.backward_s, c.backward_s);
    }
    own_.push_back(least);
  }
  if (count > many_nodes && problem.path_length > 1)
    open_ = ways_back(count);
}

bool shortest_round::follows(stage_id last, stage_id s) const {
  if (last == free_stage || s == free_stage)
    return true;
  // The frontier is at most one swap beyond the last stage.
  return s != last
         && (s > last ? s - last <= problem_.limits.max_jump
                                        + (last == 0 ? 0 : problem_.limits.max_swap_distance)
                      : last - s <= problem_.limits.max_swap_distance);
}

/// [h][n]: least seconds from the end of F at `n` to the start of its B with h more hops, by walks
/// that may repeat nodes, work at those hops and links included. Home is `o`; no node's id where it
/// may be any.
std::vector<std::vector<double>> shortest_round::ways_back(node_id o) const {
  const auto count = static_cast<node_id>(problem_.nodes.size());
  std::vector<std::vector<double>> rest(problem_.path_length - 1,
                                        std::vector<double>(count, infinity));
  for (node_id n = 0; n < count; ++n)
    rest[0][n] = o < count ? both(n, o) : 0;
  for (std::uint32_t h = 1; h + 1 < problem_.path_length; ++h)
    for (node_id n = 0; n < count; ++n)
      for (node_id next = 0; next < count; ++next)
        if (next != n && next != o && may_serve(next) && follows(stage_[n], stage_[next]))
          rest[h][n] = std::min(rest[h][n], both(n, next) + work(next) + rest[h - 1][next]);
  return rest;
}

double shortest_round::operator()(node_id o) const {
  const auto count = static_cast<node_id>(problem_.nodes.size());
  const task_costs home = problem_.costs(o, 0);
  const double base = home.forward_s + home.loss_s + home.backward_s;
  if (problem_.path_length == 1)
    return base + both(o, o);
  if (open_.empty())
    return base + search(o, ways_back(o));
  double nearest = infinity, first = infinity;
  for (node_id n = 0; n < count; ++n)
    if (n != o && may_serve(n)) {
      nearest = std::min(nearest, both(o, n));
      first = std::min(first, both(o, n) + work(n) + open_.back()[n]);
    }
  return base + first + nearest;
}

/// Best first over paths that visit no node and no stage twice; the walks' ends say what is left.
double shortest_round::search(node_id o, const std::vector<std::vector<double>>& rest) const {
  struct partial {
    double least, so_far;
    std::vector<node_id> nodes;
    route_state rules;
    bool operator<(const partial& other) const { return least > other.least; }
  };
  std::priority_queue<partial> open;
  open.push({0, 0, {}, {}});
  for (std::size_t tried = 0; !open.empty(); tried += problem_.nodes.size()) {
    const partial p = open.top();
    if (p.nodes.size() + 1 == problem_.path_length || tried >= most_tried)
      return p.least;
    open.pop();
    const node_id last = p.nodes.empty() ? o : p.nodes.back();
    const std::size_t left = problem_.path_length - 2 - p.nodes.size();
    for (node_id n = 0; n < problem_.nodes.size(); ++n) {
      if (n == o || !may_serve(n) || rest[left][n] == infinity)
        continue;
      route_state rules = p.rules;
      if (stage_[n] != free_stage && !rules.visit(stage_[n], problem_.limits))
        continue;
      const bool met = std::any_of(p.nodes.begin(), p.nodes.end(), [&](node_id x) {
        return x == n || (stage_[n] != free_stage && stage_[x] == stage_[n]);
      });
      if (met)
        continue;
      partial longer{0, p.so_far + both(last, n) + work(n), p.nodes, rules};
      longer.least = longer.so_far + rest[left][n];
      longer.nodes.push_back(n);
      open.push(std::move(longer));
    }
  }
  return infinity;
}

} // namespace skippipe::scheduler
