#include "scheduler/timetable.hpp"

#include "scheduler/simulator.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

namespace skippipe::scheduler {

timetable::timetable(const instance& problem) : problem_(problem), nodes_(problem.nodes.size()) {
  for (node_id n = 0; n < nodes_.size(); ++n) {
    calendar& c = nodes_[n];
    c.levels.push_back({0, 0});
    c.shortest = std::numeric_limits<double>::infinity();
    for (stage_id s = 0; s < problem.stages; ++s) {
      const task_costs own = problem.costs(n, s);
      c.shortest = std::min({c.shortest, own.forward_s, own.backward_s});
    }
  }
}

/// Earliest start at or after `ready` of a task of that length in the node's calendar.
double timetable::gap(node_id n, double ready, double seconds) const {
  const calendar& c = nodes_[n];
  auto it = c.tasks.begin();
  if (seconds >= c.shortest)
    it += static_cast<std::ptrdiff_t>(c.packed_tasks);
  if (it != c.tasks.begin())
    ready = std::max(ready, (it - 1)->end);
  it =
      std::upper_bound(it, c.tasks.end(), ready, [](double t, const busy& b) { return t < b.end; });
  for (; it != c.tasks.end() && it->start < ready + seconds; ++it)
    ready = std::max(ready, it->end);
  return ready;
}

/// `from` when a slot is free all through [from, until); else the earliest later time from which
/// one is free for `least` seconds.
double timetable::slot(node_id n, double from, double until, double least) const {
  const std::uint32_t memory = problem_.nodes[n].memory;
  const auto& levels = nodes_[n].levels;
  auto it = std::upper_bound(levels.begin(), levels.end(), from,
                             [](double t, const level& x) { return t < x.from; });
  for (--it; it != levels.end() && it->from < until; ++it) {
    if (it->held < memory)
      continue;
    while (it->held >= memory)
      ++it; // The last level holds nothing.
    from = it->from;
    until = from + least;
  }
  return from;
}

/// No forward can start before.
double timetable::free_slot(node_id n) const {
  return nodes_[n].levels[nodes_[n].packed_levels].from;
}

placement timetable::fit(const path& p) const {
  const auto hops = static_cast<std::uint32_t>(p.hops.size());
  const std::uint32_t steps = step_count(p);
  std::vector<double> not_before(steps, 0.0), seconds(steps), link(steps, 0.0);
  for (std::uint32_t s = 0; s < steps; ++s) {
    seconds[s] = step_seconds(problem_, p, s);
    if (s > 0)
      link[s] = problem_.link(step_node(p, s - 1), step_node(p, s));
  }
  placement result{std::vector<double>(steps), std::vector<double>(steps)};
  // As if nothing had to wait: how long each hop holds its slot at least.
  std::vector<double> least(hops + 1);
  double alone = 0;
  for (std::uint32_t s = 0; s < steps; ++s) {
    result.start[s] = alone + link[s];
    alone = result.end[s] = result.start[s] + seconds[s];
  }
  for (std::uint32_t h = 0; h <= hops; ++h) {
    least[h] = result.end[steps - 1 - h] - result.start[h];
    not_before[h] = free_slot(step_node(p, h));
  }
  std::uint32_t from = 0;
  while (true) {
    for (std::uint32_t s = from; s < steps; ++s) {
      const double arrival = s == 0 ? 0 : result.end[s - 1] + link[s];
      result.start[s] = gap(step_node(p, s), std::max(arrival, not_before[s]), seconds[s]);
      result.end[s] = result.start[s] + seconds[s];
    }
    from = steps;
    for (std::uint32_t h = 0; h <= hops; ++h) {
      const double later =
          slot(step_node(p, h), result.start[h], result.end[steps - 1 - h], least[h]);
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
  double time = gap(origin, free_slot(origin), first) + first;
  for (stage_id s : stages) {
    double best = std::numeric_limits<double>::infinity(), best_end = time;
    node_id chosen = arrangement[s].front();
    for (node_id n : arrangement[s]) {
      const task_costs c = problem_.costs(n, s);
      const double ready = time + problem_.link(last, n);
      const double begin = slot(n, gap(n, ready, c.forward_s), ready + c.forward_s + c.backward_s,
                                c.forward_s + c.backward_s);
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

void timetable::hold(node_id n, double start, double end) {
  auto& levels = nodes_[n].levels;
  const auto level_at = [&](double t) { // Its place; made when there is none that begins then.
    auto it = std::lower_bound(levels.begin(), levels.end(), t,
                               [](const level& x, double y) { return x.from < y; });
    if (it == levels.end() || it->from != t)
      it = levels.insert(it, {t, (it - 1)->held});
    return it - levels.begin();
  };
  const auto first = level_at(start), last = level_at(end);
  for (auto i = first; i < last; ++i)
    ++levels[static_cast<std::size_t>(i)].held;
  // A slot is needed for an F and a B at least.
  const std::uint32_t memory = problem_.nodes[n].memory;
  std::size_t& packed = nodes_[n].packed_levels;
  while (true) {
    std::size_t next = packed;
    while (next < levels.size() && levels[next].held < memory)
      ++next;
    if (next == levels.size()
        || (levels[next].from - levels[packed].from >= 2 * nodes_[n].shortest
            && levels.size() - packed <= most_open))
      break;
    while (levels[next].held >= memory)
      ++next;
    packed = next;
  }
}

void timetable::insert(const path& p, const placement& times) {
  const auto hops = static_cast<std::uint32_t>(p.hops.size());
  const std::uint32_t steps = step_count(p);
  const auto later = [](const busy& x, const busy& y) {
    return std::tie(x.start, x.end) < std::tie(y.start, y.end);
  };
  for (std::uint32_t s = 0; s < steps; ++s) {
    calendar& c = nodes_[step_node(p, s)];
    const busy b{times.start[s], times.end[s], {p.microbatch, step_kind(hops, s)}};
    const auto at = c.tasks.insert(std::upper_bound(c.tasks.begin(), c.tasks.end(), b, later), b);
    // A task in front of the packed ones can only be a loss in a gap too short for anything else.
    if (static_cast<std::size_t>(at - c.tasks.begin()) < c.packed_tasks)
      ++c.packed_tasks;
    const auto end_of = [&](std::size_t i) { return i == 0 ? 0 : c.tasks[i - 1].end; };
    while (c.packed_tasks < c.tasks.size()
           && (c.tasks.size() - c.packed_tasks > most_open
               || c.tasks[c.packed_tasks].start - end_of(c.packed_tasks) < c.shortest))
      ++c.packed_tasks;
  }
  for (std::uint32_t h = 0; h <= hops; ++h)
    hold(step_node(p, h), times.start[h], times.end[steps - 1 - h]);
}

std::vector<std::vector<planned_task>> timetable::order() const {
  std::vector<std::vector<planned_task>> result(nodes_.size());
  for (node_id n = 0; n < nodes_.size(); ++n)
    for (const busy& b : nodes_[n].tasks)
      result[n].push_back(b.task);
  return result;
}

} // namespace skippipe::scheduler
