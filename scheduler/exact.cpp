#include "scheduler/exact.hpp"

#include "scheduler/all_arrangements.hpp"
#include "scheduler/arrangement.hpp"
#include "scheduler/check.hpp"
#include "scheduler/path_rules.hpp"
#include "scheduler/simulator.hpp"
#include "scheduler/strategies.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace skippipe::scheduler {

namespace {

constexpr std::size_t most_arrangements = 500;
constexpr std::size_t most_choices = 20000; ///< Of paths for all microbatches, all arrangements.
constexpr std::uint64_t most_steps = 3000000;
constexpr double margin = 1e-9; ///< Seconds by which a plan must be better to count.

/// Paths for all microbatches, and what their plan takes at least.
struct choice {
  double least;
  std::size_t arrangement;
  std::vector<path> paths;
};

/// Seconds of a path when nothing has to wait, and the least that its nodes have to work.
double lower_bound_of(const instance& problem, const std::vector<path>& paths) {
  double least = 0;
  std::vector<double> work(problem.nodes.size(), 0), head(problem.nodes.size(), 1e300),
      tail(problem.nodes.size(), 1e300);
  for (const path& p : paths) {
    const std::uint32_t steps = step_count(p);
    std::vector<double> start(steps), end(steps);
    for (std::uint32_t s = 0; s < steps; ++s) {
      const node_id n = step_node(p, s);
      const double seconds = step_seconds(problem, p, s);
      start[s] = s == 0 ? 0 : end[s - 1] + problem.link(step_node(p, s - 1), n);
      end[s] = start[s] + seconds;
      work[n] += seconds;
      head[n] = std::min(head[n], start[s]);
    }
    for (std::uint32_t s = 0; s < steps; ++s)
      tail[step_node(p, s)] = std::min(tail[step_node(p, s)], end.back() - end[s]);
    least = std::max(least, end.back());
  }
  for (node_id n = 0; n < work.size(); ++n)
    if (work[n] > 0)
      least = std::max(least, head[n] + work[n] + tail[n]);
  return least;
}

/// Lists all choices of paths that could beat a makespan.
class path_choices {
public:
  path_choices(const instance& problem, double beat) : problem_(problem), beat_(beat) {
    enumerate_routes(rules_of(problem), [&](const route& r) {
      routes_.push_back(r);
      return routes_.size() < most_choices;
    });
  }

  /// False when there are too many.
  bool add(const std::vector<std::vector<node_id>>& arrangement) {
    arrangements_.push_back(arrangement);
    const auto count =
        microbatch_count(problem_, static_cast<std::uint32_t>(arrangement[0].size()));
    const auto origins = origins_in_turn(arrangement[0], count);
    options_.clear();
    for (const node_id o : arrangement[0]) {
      options_.emplace_back(o, std::vector<path>{});
      for (const route& r : routes_)
        extend({0, o, {}}, r, options_.back().second);
    }
    visits_.assign(problem_.stages, 0);
    paths_.clear();
    return choose(origins);
  }

  std::vector<choice>& found() { return found_; }
  const std::vector<std::vector<node_id>>& arrangement(std::size_t i) { return arrangements_[i]; }

private:
  void extend(path p, const route& r, std::vector<path>& out) {
    if (p.hops.size() == r.size()) {
      if (lower_bound_of(problem_, {p}) < beat_ - margin)
        out.push_back(std::move(p));
      return;
    }
    const stage_id s = r[p.hops.size()];
    for (const node_id n : arrangements_.back()[s]) {
      path longer = p;
      longer.hops.push_back({s, n});
      extend(std::move(longer), r, out);
    }
  }

  bool balanced() const {
    if (problem_.stages < 2)
      return true;
    const auto [least, most] = std::minmax_element(visits_.begin() + 1, visits_.end());
    return *most - *least <= 1;
  }

  bool choose(const std::vector<node_id>& origins) {
    const std::size_t m = paths_.size();
    if (m == origins.size()) {
      if (!balanced())
        return true;
      const double least = lower_bound_of(problem_, paths_);
      if (least < beat_ - margin)
        found_.push_back({least, arrangements_.size() - 1, paths_});
      return found_.size() < most_choices;
    }
    if (++tried_ > 50 * most_choices)
      return false;
    for (const auto& [origin, options] : options_) {
      if (origin != origins[m])
        continue;
      // Microbatches of one origin are alike: only one order of their paths counts.
      std::size_t first = 0;
      for (std::size_t i = 0; i < m; ++i)
        if (origins[i] == origin)
          first = std::max(first, chosen_[i]);
      for (std::size_t i = first; i < options.size(); ++i) {
        paths_.push_back(options[i]);
        paths_.back().microbatch = static_cast<microbatch_id>(m);
        chosen_.resize(m);
        chosen_.push_back(i);
        for (const hop& h : options[i].hops)
          ++visits_[h.stage];
        const bool go_on = choose(origins);
        for (const hop& h : options[i].hops)
          --visits_[h.stage];
        paths_.pop_back();
        if (!go_on)
          return false;
      }
    }
    return true;
  }

  const instance& problem_;
  double beat_;
  std::vector<route> routes_;
  std::vector<std::vector<std::vector<node_id>>> arrangements_;
  std::vector<std::pair<node_id, std::vector<path>>> options_; ///< Per origin.
  std::vector<std::uint32_t> visits_;
  std::vector<path> paths_;
  std::vector<std::size_t> chosen_;
  std::vector<choice> found_;
  std::size_t tried_ = 0;
};

/// The best order of all tasks of given paths: tasks are appended by start time, so that every
/// schedule in which no task could start earlier in its place is met exactly once.
class order_search {
public:
  order_search(const instance& problem, std::uint64_t& steps_left,
               std::chrono::steady_clock::time_point deadline)
      : problem_(problem), steps_left_(steps_left), deadline_(deadline) {}

  /// True when it found something better than `best`, which it then lowers.
  bool run(const std::vector<path>& paths, double& best) {
    ways_.clear();
    for (const path& p : paths) {
      way w;
      for (std::uint32_t s = 0; s < step_count(p); ++s) {
        const node_id n = step_node(p, s);
        const double link = s + 1 < step_count(p) ? problem_.link(n, step_node(p, s + 1)) : 0;
        w.tasks.push_back({step_seconds(problem_, p, s), link, 0, n,
                           step_kind(static_cast<std::uint32_t>(p.hops.size()), s)});
      }
      double tail = 0;
      for (std::size_t s = w.tasks.size(); s > 0; --s) {
        tail += w.tasks[s - 1].seconds;
        w.tasks[s - 1].tail = tail;
        if (s > 1)
          tail += w.tasks[s - 2].link;
      }
      ways_.push_back(std::move(w));
    }
    free_.assign(problem_.nodes.size(), 0.0);
    held_.assign(problem_.nodes.size(), 0);
    sequence_.clear();
    best_ = best;
    found_ = false;
    append(0);
    best = best_;
    return found_;
  }

  /// (microbatch, kind) per node, of the best order found.
  std::vector<std::vector<planned_task>> order() const {
    std::vector<std::vector<planned_task>> result(problem_.nodes.size());
    for (const auto& [n, t] : best_sequence_)
      result[n].push_back(t);
    return result;
  }

private:
  struct task {
    double seconds, link, tail; ///< Tail: from its start to the end of its path.
    node_id node;
    task_kind kind;
  };
  struct way {
    std::vector<task> tasks;
    std::size_t next = 0;
    double ready = 0;
  };

  void append(double now) {
    if (steps_left_ == 0)
      return;
    --steps_left_;
    if (steps_left_ % 4096 == 0 && std::chrono::steady_clock::now() >= deadline_) {
      steps_left_ = 0;
      return;
    }
    bool all = true;
    for (const way& w : ways_) {
      if (w.next == w.tasks.size())
        continue;
      all = false;
      const task& t = w.tasks[w.next];
      if (std::max(w.ready, free_[t.node]) + t.tail >= best_ - margin)
        return;
    }
    if (all) {
      best_ = 0;
      for (const way& w : ways_)
        best_ = std::max(best_, w.ready);
      best_sequence_ = sequence_;
      found_ = true;
      return;
    }
    // The soonest first, so that good orders are found early.
    std::vector<std::pair<double, std::size_t>> able;
    for (std::size_t m = 0; m < ways_.size(); ++m) {
      const way& w = ways_[m];
      if (w.next == w.tasks.size())
        continue;
      const task& t = w.tasks[w.next];
      if (t.kind == task_kind::forward && held_[t.node] >= problem_.nodes[t.node].memory)
        continue;
      const double start = std::max(w.ready, free_[t.node]);
      if (start >= now)
        able.emplace_back(start, m);
    }
    std::sort(able.begin(), able.end());
    for (const auto& [start, m] : able) {
      way& w = ways_[m];
      const task& t = w.tasks[w.next];
      const double ready = w.ready, free = free_[t.node];
      const std::uint32_t held = held_[t.node];
      held_[t.node] += t.kind == task_kind::forward ? 1U : 0U;
      held_[t.node] -= t.kind == task_kind::backward ? 1U : 0U;
      free_[t.node] = start + t.seconds;
      w.ready = start + t.seconds + t.link;
      ++w.next;
      sequence_.push_back({t.node, {static_cast<microbatch_id>(m), t.kind}});
      append(start);
      sequence_.pop_back();
      --w.next;
      w.ready = ready;
      free_[t.node] = free;
      held_[t.node] = held;
    }
  }

  const instance& problem_;
  std::uint64_t& steps_left_;
  std::chrono::steady_clock::time_point deadline_;
  std::vector<way> ways_;
  std::vector<double> free_;
  std::vector<std::uint32_t> held_;
  std::vector<std::pair<node_id, planned_task>> sequence_, best_sequence_;
  double best_ = 0;
  bool found_ = false;
};

} // namespace

exact_result improve_exactly(const instance& problem, const plan& start,
                             std::chrono::steady_clock::time_point deadline) {
  exact_result result{start, false};
  if (!problem.routes.empty() || start.paths.size() > 8)
    return result;
  path_choices choices(problem, start.makespan_s);
  bool complete = true;
  if (!problem.arrangement.empty()) {
    complete = choices.add(problem.arrangement);
  } else {
    if (problem.stage_sizes.empty())
      return result;
    all_arrangements every(problem.stage_sizes, problem.nodes.size());
    if (every.count() > most_arrangements)
      return result;
    every.each([&](const auto& arrangement) { complete = complete && choices.add(arrangement); });
  }
  if (!complete)
    return result;
  auto& found = choices.found();
  std::stable_sort(found.begin(), found.end(),
                   [](const choice& a, const choice& b) { return a.least < b.least; });
  std::uint64_t steps = most_steps;
  double best = start.makespan_s;
  order_search orders(problem, steps, deadline);
  for (const choice& c : found) {
    if (c.least >= best - margin)
      break;
    if (orders.run(c.paths, best))
      result.best = finish_plan(problem, start.strategy, choices.arrangement(c.arrangement),
                                c.paths, orders.order());
    if (steps == 0)
      return result;
  }
  result.proven = true;
  return result;
}

} // namespace skippipe::scheduler
