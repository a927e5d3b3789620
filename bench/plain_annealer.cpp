#include "plain_annealer.hpp"

#include "scheduler/arrangement.hpp"
#include "scheduler/check.hpp"
#include "scheduler/path_rules.hpp"
#include "scheduler/simulator.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <limits>

namespace skippipe::bench {

using namespace scheduler;

namespace {

/// Seconds that this thread has computed: what else runs on the machine takes nothing from them.
double thread_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + double(t.tv_nsec) * 1e-9;
}

struct solution {
  std::vector<std::vector<node_id>> arrangement;
  std::vector<path> paths;
  std::vector<double> priority; ///< [microbatch * steps + step]; smaller goes first.
};

/// Times a solution by list scheduling and remembers in which order the nodes worked.
class list_scheduler {
public:
  list_scheduler(const instance& problem, const solution& s)
      : problem_(problem), steps_(step_count(s.paths.front())), kind_(steps_),
        tasks_(s.paths.size() * steps_), nodes_(problem.nodes.size()) {
    for (std::uint32_t step = 0; step < steps_; ++step)
      kind_[step] = step_kind(static_cast<std::uint32_t>(s.paths.front().hops.size()), step);
    for (node_id n = 0; n < nodes_.size(); ++n)
      nodes_[n].memory = problem.nodes[n].memory;
    for (const path& p : s.paths)
      refresh(p);
  }

  /// To be called for every path that has changed.
  void refresh(const path& p) {
    task* t = &tasks_[std::size_t{p.microbatch} * steps_];
    for (std::uint32_t step = 0; step < steps_; ++step) {
      t[step] = {step_seconds(problem_, p, step), 0, step_node(p, step), kind_[step]};
      if (step > 0)
        t[step - 1].link = problem_.link(t[step - 1].node, t[step].node);
    }
  }

  /// Infinite when it locks up, or as soon as it must take longer than `limit`.
  double time(const std::vector<double>& priority, double limit) {
    for (node_state& n : nodes_) {
      n.ready.clear();
      n.working = false;
      n.held = 0;
    }
    events_.clear();
    started_.clear();
    for (std::uint32_t t = 0; t < tasks_.size(); t += steps_)
      events_.push_back({0, t, false}); // Equal keys are a heap already.
    double end = 0;
    std::size_t done = 0;
    ends_sum_ = 0;
    while (!events_.empty()) {
      const event e = take();
      if (e.time > limit)
        return std::numeric_limits<double>::infinity();
      const task& t = tasks_[e.task];
      node_state& n = nodes_[t.node];
      if (!e.ends) {
        n.ready.push_back(e.task);
        // What arrives together is chosen from together.
        if (!events_.empty() && events_.front().time == e.time && !events_.front().ends)
          if (tasks_[events_.front().task].node == t.node)
            continue;
      } else {
        n.working = false;
        ++done;
        n.held -= t.kind == task_kind::backward;
        if (e.task % steps_ + 1 == steps_) {
          end = std::max(end, e.time);
          ends_sum_ += e.time;
        } else {
          put({e.time + t.link, e.task + 1, false});
        }
      }
      if (!n.working)
        start_next(priority, n, e.time);
    }
    return done == tasks_.size() ? end : std::numeric_limits<double>::infinity();
  }

  /// Mean over the microbatches of when they were done, in the last timing.
  double mean_end() const { return ends_sum_ * steps_ / double(tasks_.size()); }

  /// Every node's tasks in the order of the last timing.
  std::vector<std::vector<planned_task>> order() const {
    std::vector<std::vector<planned_task>> result(nodes_.size());
    for (const std::uint32_t t : started_)
      result[tasks_[t].node].push_back({t / steps_, tasks_[t].kind});
    return result;
  }

private:
  struct event {
    double time;
    std::uint32_t task;
    bool ends;
    bool operator<(const event& other) const {
      if (time != other.time)
        return time > other.time;
      return ends != other.ends ? ends < other.ends : task > other.task;
    }
  };
  struct task {
    double seconds, link;
    node_id node;
    task_kind kind;
  };
  struct node_state {
    std::vector<std::uint32_t> ready;
    std::uint32_t held, memory;
    bool working;
  };

  void put(event e) {
    events_.push_back(e);
    std::push_heap(events_.begin(), events_.end());
  }
  event take() {
    std::pop_heap(events_.begin(), events_.end());
    const event e = events_.back();
    events_.pop_back();
    return e;
  }

  void start_next(const std::vector<double>& priority, node_state& n, double now) {
    std::size_t best = n.ready.size();
    bool best_forward = true;
    for (std::size_t i = 0; i < n.ready.size(); ++i) {
      const std::uint32_t t = n.ready[i];
      const bool forward = tasks_[t].kind == task_kind::forward;
      if (forward && n.held >= n.memory)
        continue;
      if (best == n.ready.size() || forward < best_forward
          || (forward == best_forward && priority[t] < priority[n.ready[best]])) {
        best = i;
        best_forward = forward;
      }
    }
    if (best == n.ready.size())
      return;
    const std::uint32_t t = n.ready[best];
    n.ready[best] = n.ready.back();
    n.ready.pop_back();
    n.working = true;
    n.held += best_forward;
    started_.push_back(t);
    put({now + tasks_[t].seconds, t, true});
  }

  const instance& problem_;
  std::uint32_t steps_;
  std::vector<task_kind> kind_;
  std::vector<task> tasks_;
  std::vector<node_state> nodes_;
  std::vector<event> events_; ///< A heap, the earliest in front.
  std::vector<std::uint32_t> started_;
  double ends_sum_ = 0;
};

bool follows_rules(const instance& problem, const path& p) {
  route r;
  for (const hop& h : p.hops)
    r.push_back(h.stage);
  return !route_problem(r, rules_of(problem));
}

solution first_solution(const instance& problem, random_source& random) {
  solution s;
  s.arrangement = near_arrangement(problem);
  const auto count = microbatch_count(problem, static_cast<std::uint32_t>(s.arrangement[0].size()));
  auto routes = *balanced_routes(rules_of(problem), count, random);
  for (microbatch_id m = 0; m < count; ++m) {
    // In order nothing can lock up, so there is something to begin with.
    std::sort(routes[m].begin(), routes[m].end());
    path p{m, s.arrangement[0][m % s.arrangement[0].size()], {}};
    for (const stage_id stage : routes[m])
      p.hops.push_back({stage, s.arrangement[stage][m % s.arrangement[stage].size()]});
    s.paths.push_back(std::move(p));
  }
  s.priority.resize(std::size_t{count} * step_count(s.paths.front()));
  for (std::size_t i = 0; i < s.priority.size(); ++i)
    s.priority[i] = double(i / step_count(s.paths.front()));
  return s;
}

class annealer {
public:
  annealer(const instance& problem, std::uint64_t seed)
      : problem_(problem), random_(seed), now_(first_solution(problem, random_)),
        timing_(problem, now_) {}

  plan run(double seconds) {
    const double begin = thread_seconds();
    constexpr double none = std::numeric_limits<double>::infinity();
    double makespan = timing_.time(now_.priority, none), mean = timing_.mean_end();
    solution best = now_;
    double best_makespan = makespan, progress = 0;
    // The mean end guides where the makespan does not change; most trials change only the mean, and
    // by little, hence the low temperatures (found by trying, on three instances).
    const double mean_share = 20;
    const double hot = makespan / 500, cold = makespan / 200000;
    for (std::uint64_t i = 0; progress < 1; ++i) {
      if (i % 16 == 0)
        progress = (thread_seconds() - begin) / seconds;
      const double temperature = hot * std::pow(cold / hot, progress);
      change();
      if (changed_paths_.empty() && !changed_priority_ && !swapped_)
        continue;
      for (const path& p : changed_paths_)
        timing_.refresh(now_.paths[p.microbatch]);
      const double bar = makespan + mean_share * mean - temperature * std::log(1 - random_.unit());
      const double t = timing_.time(now_.priority, bar);
      const double cost = t + mean_share * timing_.mean_end();
      if (!(cost <= bar)) {
        undo();
        continue;
      }
      makespan = t;
      mean = timing_.mean_end();
      if (makespan < best_makespan) {
        best_makespan = makespan;
        best = now_;
      }
    }
    for (const path& x : best.paths)
      timing_.refresh(x);
    timing_.time(best.priority, none);
    plan p;
    p.strategy = "skippipe";
    p.arrangement = best.arrangement;
    p.paths = best.paths;
    p.order = timing_.order();
    p.makespan_s = simulate(problem_, p.paths, p.order).makespan_s;
    return p;
  }

private:
  std::uint32_t any(std::size_t count) { return random_.below(static_cast<std::uint32_t>(count)); }
  node_id any_node(stage_id s) { return now_.arrangement[s][any(now_.arrangement[s].size())]; }

  void keep(std::uint32_t m) { changed_paths_.push_back(now_.paths[m]); }

  void change() {
    changed_paths_.clear();
    changed_priority_ = swapped_ = false;
    const double kind = random_.unit();
    if (kind < 0.35)
      change_node();
    else if (kind < 0.55)
      exchange_stages();
    else if (kind < 0.65)
      reorder();
    else if (kind < 0.85)
      change_priority();
    else if (problem_.arrangement.empty())
      swap_nodes();
  }

  void change_node() {
    const std::uint32_t m = any(now_.paths.size());
    if (now_.paths[m].hops.empty())
      return;
    keep(m);
    hop& h = now_.paths[m].hops[any(now_.paths[m].hops.size())];
    h.node = any_node(h.stage);
  }

  /// Two microbatches exchange a stage each, so that the balance holds.
  void exchange_stages() {
    const std::uint32_t a = any(now_.paths.size()), b = any(now_.paths.size());
    if (a == b || now_.paths[a].hops.empty())
      return;
    keep(a);
    keep(b);
    path &p = now_.paths[a], &q = now_.paths[b];
    std::swap(p.hops[any(p.hops.size())], q.hops[any(q.hops.size())]);
    const auto in_order = [](const hop& x, const hop& y) { return x.stage < y.stage; };
    std::sort(p.hops.begin(), p.hops.end(), in_order);
    std::sort(q.hops.begin(), q.hops.end(), in_order);
    if (!follows_rules(problem_, p) || !follows_rules(problem_, q))
      undo();
  }

  void reorder() {
    const std::uint32_t m = any(now_.paths.size());
    if (now_.paths[m].hops.size() < 2)
      return;
    keep(m);
    const std::size_t at = any(now_.paths[m].hops.size() - 1);
    std::swap(now_.paths[m].hops[at], now_.paths[m].hops[at + 1]);
    if (!follows_rules(problem_, now_.paths[m]))
      undo();
  }

  void change_priority() {
    const std::uint32_t steps = step_count(now_.paths.front());
    const std::uint32_t m = any(now_.paths.size());
    changed_priority_ = true;
    priority_from_ = m * steps;
    priority_count_ = steps;
    if (random_.below(2)) {
      priority_from_ += any(steps);
      priority_count_ = 1;
    }
    const double moved = (random_.unit() - 0.5) * 0.3 * double(now_.paths.size());
    old_priority_.assign(now_.priority.begin() + priority_from_,
                         now_.priority.begin() + priority_from_ + priority_count_);
    for (std::uint32_t i = 0; i < priority_count_; ++i)
      now_.priority[priority_from_ + i] += moved;
  }

  void swap_nodes() {
    first_ = any(problem_.nodes.size());
    second_ = any(problem_.nodes.size());
    if (first_ == second_)
      return;
    exchange_places();
    swapped_ = true;
  }

  void exchange_places() {
    bool met = false;
    const auto exchange = [&](node_id& n) {
      if (n == first_ || n == second_) {
        n = n == first_ ? second_ : first_;
        met = true;
      }
    };
    for (auto& nodes : now_.arrangement)
      for (node_id& n : nodes)
        exchange(n);
    for (path& p : now_.paths) {
      met = false;
      exchange(p.origin);
      for (hop& h : p.hops)
        exchange(h.node);
      if (met)
        timing_.refresh(p);
    }
  }

  void undo() {
    for (std::size_t i = changed_paths_.size(); i > 0; --i)
      timing_.refresh(now_.paths[changed_paths_[i - 1].microbatch] = changed_paths_[i - 1]);
    changed_paths_.clear();
    if (changed_priority_)
      std::copy(old_priority_.begin(), old_priority_.end(), now_.priority.begin() + priority_from_);
    if (swapped_)
      exchange_places();
    changed_priority_ = swapped_ = false;
  }

  const instance& problem_;
  random_source random_;
  solution now_;
  list_scheduler timing_;
  std::vector<path> changed_paths_;
  bool changed_priority_ = false, swapped_ = false;
  std::uint32_t priority_from_ = 0, priority_count_ = 0;
  std::vector<double> old_priority_;
  node_id first_ = 0, second_ = 0;
};

} // namespace

plan plain_anneal(const instance& problem, double seconds, std::uint64_t seed) {
  return annealer(problem, seed).run(seconds);
}

} // namespace skippipe::bench
