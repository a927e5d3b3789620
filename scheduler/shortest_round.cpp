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
  if (problem.path_length == 1)
    return;
  if (count > many_nodes) {
    open_ = ways_back(count);
    return;
  }
  for (node_id n = 0; n < count; ++n)
    for (node_id next = 0; next < count; ++next)
      strides_.push_back(stride(n, next));
}

/// Seconds that a hop from `n` to `next` adds; infinite when a path cannot take it.
double shortest_round::stride(node_id n, node_id next) const {
  return next != n && may_serve(next) && follows(stage_[n], stage_[next])
             ? both(n, next) + work(next)
             : infinity;
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
  const bool listed = !strides_.empty();
  std::vector<double> row(listed ? 0 : count);
  for (std::uint32_t h = 1; h + 1 < problem_.path_length; ++h) {
    const double* const shorter = rest[h - 1].data();
    for (node_id n = 0; n < count; ++n) {
      for (node_id next = 0; next < count && !listed; ++next)
        row[next] = stride(n, next);
      const double* const away = listed ? &strides_[std::size_t{n} * count] : row.data();
      const auto least = [&](node_id from, node_id to) { // Four at a time: the sums do not wait.
        double best[4] = {infinity, infinity, infinity, infinity};
        for (; from + 4 <= to; from += 4)
          for (std::uint32_t i = 0; i < 4; ++i)
            best[i] = std::min(best[i], away[from + i] + shorter[from + i]);
        for (; from < to; ++from)
          best[0] = std::min(best[0], away[from] + shorter[from]);
        return std::min(std::min(best[0], best[1]), std::min(best[2], best[3]));
      };
      rest[h][n] = o < count ? std::min(least(0, o), least(o + 1, count)) : least(0, count);
    }
  }
  return rest;
}

double shortest_round::operator()(node_id o) const {
  if (problem_.path_length == 1 || !open_.empty())
    return at_least(o);
  const task_costs home = problem_.costs(o, 0);
  return home.forward_s + home.loss_s + home.backward_s + search(o, ways_back(o));
}

double shortest_round::at_least(node_id o) const {
  const auto count = static_cast<node_id>(problem_.nodes.size());
  const task_costs home = problem_.costs(o, 0);
  const double base = home.forward_s + home.loss_s + home.backward_s;
  if (problem_.path_length == 1)
    return base + both(o, o);
  const bool own = open_.empty(); // Then the walks lead home, not just anywhere.
  const auto walks = own ? ways_back(o).back() : open_.back();
  double nearest = infinity, first = infinity;
  for (node_id n = 0; n < count; ++n)
    if (n != o && may_serve(n)) {
      nearest = std::min(nearest, both(o, n));
      first = std::min(first, both(o, n) + work(n) + walks[n]);
    }
  return base + first + (own ? 0 : nearest);
}

/// Best first over paths that visit no node and no stage twice; the walks' ends say what is left.
double shortest_round::search(node_id o, const std::vector<std::vector<double>>& rest) const {
  struct partial {
    double least, so_far;
    std::vector<node_id> nodes;
    route_state rules;
    bool operator<(const partial& other) const { return least > other.least; }
  };
  const auto count = static_cast<node_id>(problem_.nodes.size());
  const std::size_t hops = problem_.path_length - 1;
  double shortest = infinity; // Of the paths that are complete.
  // Calls `use` with every continuation of `p` that may become shorter than those.
  const auto continuations = [&](const partial& p, const auto& use) {
    const node_id last = p.nodes.empty() ? o : p.nodes.back();
    const std::size_t left = hops - 1 - p.nodes.size();
    for (node_id n = 0; n < count; ++n) {
      if (n == o || !may_serve(n))
        continue;
      const double so_far = p.so_far + both(last, n) + work(n), least = so_far + rest[left][n];
      if (!(least < shortest))
        continue;
      route_state rules = p.rules;
      if (stage_[n] != free_stage && !rules.visit(stage_[n], problem_.limits))
        continue;
      const bool met = std::any_of(p.nodes.begin(), p.nodes.end(), [&](node_id x) {
        return x == n || (stage_[n] != free_stage && stage_[x] == stage_[n]);
      });
      if (met)
        continue;
      if (left == 0)
        shortest = least;
      use(n, so_far, least, rules);
    }
  };
  // Always the best continuation first: soon complete, and then most others need no look.
  partial dive{0, 0, {}, {}};
  while (dive.nodes.size() < hops) {
    partial next{infinity, 0, dive.nodes, {}};
    node_id chosen = count;
    continuations(dive, [&](node_id n, double so_far, double least, const route_state& rules) {
      if (least < next.least) {
        next.least = least;
        next.so_far = so_far;
        next.rules = rules;
        chosen = n;
      }
    });
    if (chosen == count)
      break;
    next.nodes.push_back(chosen);
    dive = std::move(next);
  }
  std::priority_queue<partial> open;
  open.push({0, 0, {}, {}});
  for (std::size_t tried = 0; !open.empty(); tried += count) {
    const partial p = open.top();
    if (p.least >= shortest)
      break;
    if (tried >= most_tried)
      return p.least;
    open.pop();
    continuations(p, [&](node_id n, double so_far, double least, const route_state& rules) {
      if (p.nodes.size() + 1 == hops)
        return;
      partial longer{least, so_far, p.nodes, rules};
      longer.nodes.push_back(n);
      open.push(std::move(longer));
    });
  }
  return shortest;
}

} // namespace skippipe::scheduler
