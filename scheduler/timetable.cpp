#include "scheduler/timetable.hpp"

#include "scheduler/simulator.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

namespace skippipe::scheduler {

timetable::timetable(const instance& problem)
    : problem_(problem), busy_(problem.nodes.size()), holds_(problem.nodes.size()) {}

/// Earliest start at or after `ready` of a task of that length in the node's calendar.
double timetable::gap(node_id n, double ready, double seconds) const {
  const auto& tasks = busy_[n];
  auto it = std::upper_bound(tasks.begin(), tasks.end(), ready,
                             [](double t, const busy& b) { return t < b.end; });
  for (; it != tasks.end() && it->start < ready + seconds; ++it)
    ready = std::max(ready, it->end);
  return ready;
}

/// `from` when a slot is free all through [from, until); else the earliest later time at which
/// the first shortage is over.
double timetable::slot(node_id n, double from, double until) const {
  const std::uint32_t memory = problem_.nodes[n].memory;
  const auto& holds = holds_[n];
  const auto overlaps = [&](const hold& h) { return h.start < until && h.end > from; };
  if (std::count_if(holds.begin(), holds.end(), overlaps) < static_cast<std::ptrdiff_t>(memory))
    return from;
  // The number held only grows where a hold starts.
  double worst = std::numeric_limits<double>::infinity(), over = from;
  for (const hold& candidate : holds) {
    if (!overlaps(candidate))
      continue;
    const double t = std::max(candidate.start, from);
    if (t >= worst)
      continue;
    std::uint32_t held = 0;
    double first_end = std::numeric_limits<double>::infinity();
    for (const hold& h : holds)
      if (h.start <= t && h.end > t) {
        ++held;
        first_end = std::min(first_end, h.end);
      }
    if (held >= memory) {
      worst = t;
      over = first_end;
    }
  }
  return over;
}

placement timetable::fit(const path& p) const {
  const auto hops = static_cast<std::uint32_t>(p.hops.size());
  const std::uint32_t steps = step_count(p);
  std::vector<double> not_before(steps, 0.0);
  placement result{std::vector<double>(steps), std::vector<double>(steps)};
  std::uint32_t from = 0;
  while (true) {
    for (std::uint32_t s = from; s < steps; ++s) {
      const node_id n = step_node(p, s);
      const double arrival = s == 0 ? 0 : result.end[s - 1] + problem_.link(step_node(p, s - 1), n);
      const double seconds = step_seconds(problem_, p, s);
      result.start[s] = gap(n, std::max(arrival, not_before[s]), seconds);
      result.end[s] = result.start[s] + seconds;
    }
    from = steps;
    for (std::uint32_t h = 0; h <= hops; ++h) {
      const double later = slot(step_node(p, h), result.start[h], result.end[steps - 1 - h]);
      if (later > result.start[h]) {
        not_before[h] = later;
        from = h;
        break;
      }
    }
    if (from == steps)
      return result;
  }
}

path timetable::choose_nodes(microbatch_id mb, node_id origin, const std::vector<stage_id>& stages,
                             const std::vector<std::vector<node_id>>& arrangement) const {
  path p{mb, origin, {}};
  node_id last = origin;
  const double first = problem_.costs(origin, 0).forward_s;
  double time = gap(origin, 0, first) + first;
  for (stage_id s : stages) {
    double best = std::numeric_limits<double>::infinity(), best_end = time;
    node_id chosen = arrangement[s].front();
    for (node_id n : arrangement[s]) {
      const task_costs c = problem_.costs(n, s);
      const double ready = time + problem_.link(last, n);
      const double begin = slot(n, gap(n, ready, c.forward_s), ready + c.forward_s + c.backward_s);
      const double end = begin + c.forward_s;
      const double score = end + c.backward_s + problem_.link(n, last) + problem_.link(n, origin);
      if (score < best) {
        best = score;
        best_end = end;
        chosen = n;
      }
    }
    p.hops.push_back({s, chosen});
    last = chosen;
    time = best_end;
  }
  return p;
}

void timetable::insert(const path& p, const placement& times) {
  const auto hops = static_cast<std::uint32_t>(p.hops.size());
  const std::uint32_t steps = step_count(p);
  for (std::uint32_t s = 0; s < steps; ++s) {
    auto& tasks = busy_[step_node(p, s)];
    const busy b{times.start[s], times.end[s], {p.microbatch, step_kind(hops, s)}};
    const auto later = [](const busy& x, const busy& y) {
      return std::tie(x.start, x.end) < std::tie(y.start, y.end);
    };
    tasks.insert(std::upper_bound(tasks.begin(), tasks.end(), b, later), b);
  }
  for (std::uint32_t h = 0; h <= hops; ++h)
    holds_[step_node(p, h)].push_back({times.start[h], times.end[steps - 1 - h]});
}

std::vector<std::vector<planned_task>> timetable::order() const {
  std::vector<std::vector<planned_task>> result(busy_.size());
  for (node_id n = 0; n < busy_.size(); ++n)
    for (const busy& b : busy_[n])
      result[n].push_back(b.task);
  return result;
}

} // namespace skippipe::scheduler
