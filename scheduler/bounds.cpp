#include "scheduler/bounds.hpp"

#include "scheduler/all_arrangements.hpp"
#include "scheduler/arrangement.hpp"
#include "scheduler/check.hpp"
#include "scheduler/reduction.hpp"
#include "scheduler/shortest_round.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace skippipe::scheduler {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// How much the nodes can serve, the arrangement fixed or not.
class node_rates {
public:
  node_rates(const instance& problem, const shortest_round& rounds)
      : problem_(problem), rounds_(rounds) {
    for (node_id n = 0; n < problem.nodes.size(); ++n)
      surroundings_.push_back(look_around(n));
  }

  /// How many visits `n` can serve at most within `seconds`, its own stage not being 0; the last one's
  /// microbatch is back at its origin by then, or, where it is `only_served`, done here.
  double visits_within(node_id n, double seconds, bool only_served) const {
    const surrounding& x = surroundings_[n];
    const double open = seconds - x.before - (only_served ? 0 : x.after);
    if (!(open > 0))
      return 0;
    const double slots = problem_.nodes[n].memory;
    return std::floor(std::min(open / x.work, slots * open / (x.work + x.away)) + 1e-9);
  }

private:
  /// Least seconds before the first F at a node, after its last B, and from an F to its B.
  struct surrounding {
    double before, after, away, work;
  };

  // An F comes either from an origin or over another node, which takes longer than any origin's F
  // and any link into n; the same holds on the way back and for the wait in between.
  surrounding look_around(node_id n) const {
    double in = infinity, out = infinity;                      // Over any link.
    double first = infinity, loss = infinity, last = infinity; // At any origin.
    double from = infinity, to = infinity, around = infinity;  // By way of an origin.
    for (node_id x = 0; x < problem_.nodes.size(); ++x) {
      if (x != n) {
        in = std::min(in, problem_.link(x, n));
        out = std::min(out, problem_.link(n, x));
      }
      if (!rounds_.may_be_origin(x))
        continue;
      const task_costs home = problem_.costs(x, 0);
      first = std::min(first, home.forward_s);
      loss = std::min(loss, home.loss_s);
      last = std::min(last, home.backward_s);
      if (x == n)
        continue;
      from = std::min(from, home.forward_s + problem_.link(x, n));
      to = std::min(to, problem_.link(n, x) + home.backward_s);
      around = std::min(around, problem_.link(n, x) + home.loss_s + problem_.link(x, n));
    }
    const task_costs& own = rounds_.own(n);
    return {std::min(from, first + in), std::min(to, out + last), std::min(around, out + loss + in),
            own.forward_s + own.backward_s};
  }

  const instance& problem_;
  const shortest_round& rounds_;
  std::vector<surrounding> surroundings_;
};

/// The least T at which the nodes together can serve `visits`, found by halving.
double least_time(const node_rates& data, const std::vector<node_id>& nodes, double visits,
                  bool only_served = false) {
  if (nodes.empty() || visits <= 0)
    return 0;
  const auto enough = [&](double t) {
    double sum = 0;
    for (const node_id n : nodes)
      if ((sum += data.visits_within(n, t, only_served)) >= visits)
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
  const double work = own.forward_s + own.backward_s;
  double done = -infinity; // The largest starts[a] - a * work so far.
  for (std::uint32_t i = 1; i < count; ++i) {
    starts[i] = starts[i - 1] + own.forward_s;
    if (i < memory)
      continue;
    done = std::max(done, starts[i - memory] - (i - memory) * work);
    starts[i] = std::max(starts[i], done + round_s + (i - memory) * work);
  }
  double least = count * (own.forward_s + own.loss_s + own.backward_s);
  for (std::uint32_t a = 0; a < count; ++a) {
    const std::uint32_t later = count > memory + a ? count - memory - a : 0;
    least = std::max(least, starts[a] + round_s + (count - 1 - a) * own.backward_s
                                + later * (own.forward_s + own.loss_s));
  }
  return least;
}

namespace {

lower_bounds bounds_of(const instance& problem) {
  lower_bounds result;
  const shortest_round rounds(problem);
  const std::uint32_t origins = stage_sizes(problem)[0];
  const std::uint32_t count = microbatch_count(problem, origins), share = count / origins;
  const auto nodes = static_cast<node_id>(problem.nodes.size());
  const auto slots_of = [&](node_id o, double round_s) {
    return origin_slots_bound(share, problem.nodes[o].memory, problem.costs(o, 0), round_s);
  };
  std::vector<std::pair<double, node_id>> quick;
  for (node_id o = 0; o < nodes; ++o)
    if (rounds.may_be_origin(o))
      quick.emplace_back(slots_of(o, rounds.at_least(o)), o);
  std::sort(quick.begin(), quick.end());
  // As many nodes as stage 0 has must be origins; at best those with the smallest bounds. Exact rounds are
  // needed only as long as they may be among these.
  const std::size_t wanted = std::min<std::size_t>(origins, quick.size());
  std::vector<double> slots;
  for (const auto& [least, o] : quick) {
    if (slots.size() >= wanted && slots[wanted - 1] <= least)
      break;
    const double exact = slots_of(o, rounds(o));
    slots.insert(std::upper_bound(slots.begin(), slots.end(), exact), exact);
  }
  if (wanted > 0)
    result.origin_slots_s = slots[wanted - 1];
  const auto reduction = [&](stage_id s) {
    if (!reduces(problem))
      return 0.0;
    if (!problem.arrangement.empty())
      return reduction_seconds(problem, s, problem.arrangement[s]);
    return problem.stage_sizes.empty()
               ? 0.0
               : least_reduction_seconds(problem, s, problem.stage_sizes[s]);
  };
  result.iteration_s = result.origin_slots_s + reduction(0);
  if (problem.stages < 2 || problem.path_length < 2)
    return result;
  const node_rates rates(problem, rounds);
  const double visits = double(count) * (problem.path_length - 1);
  if (problem.arrangement.empty()) {
    std::vector<node_id> all;
    for (node_id n = 0; n < nodes; ++n)
      all.push_back(n);
    // The nodes that become origins would only be missed here.
    result.stage_work_s = least_time(rates, all, visits);
    return result;
  }
  const double least_visits = std::floor(visits / (problem.stages - 1));
  for (stage_id s = 1; s < problem.stages; ++s) {
    const auto& members = problem.arrangement[s];
    result.stage_work_s = std::max(result.stage_work_s, least_time(rates, members, least_visits));
    if (reduces(problem))
      result.iteration_s = std::max(result.iteration_s,
                                    least_time(rates, members, least_visits, true) + reduction(s));
  }
  return result;
}

/// Whole iterations take as long as their tasks, and the commit follows.
lower_bounds with_commit(lower_bounds result, const instance& problem) {
  result.iteration_s = std::max(result.iteration_s, result.best()) + problem.commit_s;
  return result;
}

} // namespace

lower_bounds lower_bound(const instance& problem) {
  const lower_bounds best = with_commit(bounds_of(problem), problem);
  if (!problem.arrangement.empty() || problem.stage_sizes.empty())
    return best;
  all_arrangements arrangements(problem.stage_sizes, problem.nodes.size());
  if (arrangements.count() > 2000)
    return best;
  // Few enough to look at each: the least of their bounds holds, too.
  instance fixed = problem;
  lower_bounds least{infinity, infinity, infinity};
  arrangements.each([&](const std::vector<std::vector<node_id>>& arrangement) {
    fixed.arrangement = arrangement;
    const lower_bounds b = with_commit(bounds_of(fixed), fixed);
    const double iteration_s = std::min(least.iteration_s, b.iteration_s);
    if (b.best() < least.best())
      least = b;
    least.iteration_s = iteration_s;
  });
  lower_bounds result = least.best() > best.best() ? least : best;
  result.iteration_s = std::max(least.iteration_s, best.iteration_s);
  return result;
}

} // namespace skippipe::scheduler
