#include "scheduler/bounds.hpp"

#include "scheduler/arrangement.hpp"
#include "scheduler/check.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace skippipe::scheduler {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// What the bounds need to know about an instance, the arrangement fixed or not.
class bound_data {
public:
  explicit bound_data(const instance& problem) : problem_(problem) {
    const auto count = static_cast<node_id>(problem.nodes.size());
    stage_.assign(count, free_stage);
    for (stage_id s = 0; s < problem.arrangement.size(); ++s)
      for (const node_id n : problem.arrangement[s])
        stage_[n] = s;
    for (node_id n = 0; n < count; ++n)
      own_.push_back(least_costs(n));
  }

  static constexpr stage_id free_stage = ~stage_id{0};

  bool may_be_origin(node_id n) const { return stage_[n] == free_stage || stage_[n] == 0; }
  bool may_serve(node_id n) const { return stage_[n] != 0; }

  /// Least costs of `n` in any stage but 0 it may serve.
  const task_costs& own(node_id n) const { return own_[n]; }

  /// Least seconds from the start of F at origin `o` to the end of its B, nothing waiting. Walks
  /// over one hop after the other; where a walk could not be a path, that only lowers it.
  double shortest_round(node_id o) const {
    const auto count = static_cast<node_id>(problem_.nodes.size());
    const task_costs home = problem_.costs(o, 0);
    const double base = home.forward_s + home.loss_s + home.backward_s;
    if (problem_.path_length == 1)
      return base + 2 * problem_.link(o, o);
    std::vector<double> reach(count, infinity), next(count);
    for (node_id n = 0; n < count; ++n)
      if (n != o && may_serve(n) && follows(0, stage_[n]))
        reach[n] = both(o, n) + own_[n].forward_s + own_[n].backward_s;
    for (std::uint32_t h = 2; h < problem_.path_length; ++h) {
      std::fill(next.begin(), next.end(), infinity);
      for (node_id n = 0; n < count; ++n) {
        if (n == o || !may_serve(n))
          continue;
        const double work = own_[n].forward_s + own_[n].backward_s;
        for (node_id last = 0; last < count; ++last)
          if (last != n && reach[last] < infinity && follows(stage_[last], stage_[n]))
            next[n] = std::min(next[n], reach[last] + both(last, n) + work);
      }
      reach.swap(next);
    }
    double least = infinity;
    for (node_id n = 0; n < count; ++n)
      least = std::min(least, reach[n] + both(n, o));
    return base + least;
  }

  /// How many visits `n` can serve at most within `seconds`, its own stage not being 0.
  double visits_within(node_id n, double seconds) const {
    double head = infinity, tail = infinity, away = infinity;
    for (node_id o = 0; o < problem_.nodes.size(); ++o) {
      if (o == n || !may_be_origin(o))
        continue;
      const task_costs home = problem_.costs(o, 0);
      head = std::min(head, home.forward_s + problem_.link(o, n));
      tail = std::min(tail, problem_.link(n, o) + home.backward_s);
      away = std::min(away, problem_.link(n, o) + home.loss_s + problem_.link(o, n));
    }
    const double open = seconds - std::max(0.0, std::min(head, nearest_in(n))) - leave(n, tail);
    if (!(open > 0))
      return 0;
    const double work = own_[n].forward_s + own_[n].backward_s;
    const double slots = problem_.nodes[n].memory;
    // The last hop of a path waits for the loss, any earlier one for even more.
    return std::floor(std::min(open / work, slots * open / (work + std::min(away, around(n))))
                      + 1e-9);
  }

private:
  double both(node_id a, node_id b) const { return problem_.link(a, b) + problem_.link(b, a); }

  bool follows(stage_id last, stage_id s) const {
    if (last == free_stage || s == free_stage)
      return true;
    // The frontier is at most one swap beyond the last stage.
    return s != last
           && (s > last ? s - last <= problem_.limits.max_jump
                                          + (last == 0 ? 0 : problem_.limits.max_swap_distance)
                        : last - s <= problem_.limits.max_swap_distance);
  }

  task_costs least_costs(node_id n) const {
    task_costs least{infinity, infinity, infinity};
    for (stage_id s = 1; s < problem_.stages; ++s) {
      if (stage_[n] != free_stage && stage_[n] != s)
        continue;
      const task_costs c = problem_.costs(n, s);
      least.forward_s = std::min(least.forward_s, c.forward_s);
      least.backward_s = std::min(least.backward_s, c.backward_s);
    }
    return least;
  }

  // An F comes either from an origin or over another node, which takes longer than the origin's F
  // and any link into n; the same holds on the way back and for the wait in between.
  double nearest_in(node_id n) const {
    double link = infinity, first = infinity;
    for (node_id x = 0; x < problem_.nodes.size(); ++x) {
      if (x != n)
        link = std::min(link, problem_.link(x, n));
      if (may_be_origin(x))
        first = std::min(first, problem_.costs(x, 0).forward_s);
    }
    return first + link;
  }
  double leave(node_id n, double tail) const {
    double link = infinity, last = infinity;
    for (node_id x = 0; x < problem_.nodes.size(); ++x) {
      if (x != n)
        link = std::min(link, problem_.link(n, x));
      if (may_be_origin(x))
        last = std::min(last, problem_.costs(x, 0).backward_s);
    }
    return std::min(tail, link + last);
  }
  double around(node_id n) const {
    double out = infinity, in = infinity, loss = infinity;
    for (node_id x = 0; x < problem_.nodes.size(); ++x) {
      if (x != n) {
        out = std::min(out, problem_.link(n, x));
        in = std::min(in, problem_.link(x, n));
      }
      if (may_be_origin(x))
        loss = std::min(loss, problem_.costs(x, 0).loss_s);
    }
    return out + loss + in;
  }

  const instance& problem_;
  std::vector<stage_id> stage_;
  std::vector<task_costs> own_;
};

/// The least T at which the nodes together can serve `visits`, found by halving.
double least_time(const bound_data& data, const std::vector<node_id>& nodes, double visits) {
  if (nodes.empty() || visits <= 0)
    return 0;
  const auto enough = [&](double t) {
    double sum = 0;
    for (const node_id n : nodes)
      if ((sum += data.visits_within(n, t)) >= visits)
        return true;
    return false;
  };
  double low = 0, high = 1;
  while (!enough(high) && high < 1e18)
    low = high, high *= 2;
  for (int i = 0; i < 40; ++i) {
    const double middle = (low + high) / 2;
    (enough(middle) ? high : low) = middle;
  }
  return low;
}

} // namespace

double origin_slots_bound(std::uint32_t count, std::uint32_t memory, const task_costs& own,
                          double round_s) {
  if (count == 0)
    return 0;
  // starts[i]: least start of the (i+1)-th first forward. It needs a slot, so all but memory - 1
  // of the microbatches before it are done, and each of those after the a-th done one still has
  // its backward, and each started since its forward, to run here.
  std::vector<double> starts(count, 0.0);
  for (std::uint32_t i = 1; i < count; ++i) {
    starts[i] = starts[i - 1] + own.forward_s;
    for (std::uint32_t a = 0; a + memory <= i; ++a)
      starts[i] = std::max(starts[i], starts[a] + round_s
                                          + (i - memory - a) * (own.forward_s + own.backward_s));
  }
  double least = count * (own.forward_s + own.loss_s + own.backward_s);
  for (std::uint32_t a = 0; a < count; ++a) {
    const std::uint32_t later = count > memory + a ? count - memory - a : 0;
    least = std::max(least, starts[a] + round_s + (count - 1 - a) * own.backward_s
                                + later * (own.forward_s + own.loss_s));
  }
  return least;
}

lower_bounds lower_bound(const instance& problem) {
  lower_bounds result;
  const bound_data data(problem);
  const std::uint32_t origins = stage_sizes(problem)[0];
  const std::uint32_t count = microbatch_count(problem, origins), share = count / origins;
  const auto nodes = static_cast<node_id>(problem.nodes.size());
  std::vector<double> slots;
  for (node_id o = 0; o < nodes; ++o)
    if (data.may_be_origin(o))
      slots.push_back(origin_slots_bound(share, problem.nodes[o].memory, problem.costs(o, 0),
                                         data.shortest_round(o)));
  // As many nodes as stage 0 has must be origins; at best those with the smallest bounds.
  std::sort(slots.begin(), slots.end());
  if (!slots.empty())
    result.origin_slots_s = slots[std::min<std::size_t>(origins, slots.size()) - 1];
  if (problem.stages < 2 || problem.path_length < 2)
    return result;
  const double visits = double(count) * (problem.path_length - 1);
  if (problem.arrangement.empty()) {
    std::vector<node_id> all;
    for (node_id n = 0; n < nodes; ++n)
      all.push_back(n);
    // The nodes that become origins would only be missed here.
    result.stage_work_s = least_time(data, all, visits);
    return result;
  }
  for (stage_id s = 1; s < problem.stages; ++s)
    result.stage_work_s =
        std::max(result.stage_work_s, least_time(data, problem.arrangement[s],
                                                 std::floor(visits / (problem.stages - 1))));
  return result;
}

} // namespace skippipe::scheduler
