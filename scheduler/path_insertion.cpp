#include "scheduler/path_insertion.hpp"

#include <algorithm>
#include <bit>

namespace skippipe::scheduler {

namespace {
constexpr double infinite = std::numeric_limits<double>::infinity();
}

void path_insertion::load() {
  const instance& problem = state_.problem();
  const auto nodes = static_cast<node_id>(problem.nodes.size());
  work_.assign(nodes, {});
  openings_.assign(nodes, {});
  epochs_.assign(nodes, 0);
  epoch_ = 0;
  levels_.assign(state_.hops() + 1, {});
  costs_.clear();
  for (node_id n = 0; n < nodes; ++n)
    for (stage_id s = 0; s < problem.stages; ++s)
      costs_.push_back(problem.costs(n, s));
  least_forward_.assign(nodes, std::numeric_limits<double>::infinity());
  for (node_id n = 0; n < nodes; ++n)
    for (stage_id s = 0; s < problem.stages; ++s)
      least_forward_[n] = std::min(least_forward_[n], costs_[n * problem.stages + s].forward_s);
  least_ = std::numeric_limits<double>::infinity();
  for (const task_costs& c : costs_)
    least_ = std::min(least_, c.forward_s + c.backward_s);
  rules_.resize(problem.stages);
  link_to_.resize(std::size_t{nodes} * nodes);
  for (node_id to = 0; to < nodes; ++to)
    for (node_id from = 0; from < nodes; ++from)
      link_to_[std::size_t{to} * nodes + from] = problem.link(from, to);
  for (found* f : {&best_, &trial_}) {
    f->hops.assign(state_.hops() + 1, 0);
    f->start.assign(state_.steps(), 0);
    f->turn.assign(state_.steps(), 0);
  }
  removed_.clear();
  is_out_.assign(state_.microbatches(), 0);
  latest_.assign(state_.start.size(), 0);
}

void path_insertion::begin() {
  ++epoch_;
  for (const microbatch_id m : removed_)
    is_out_[m] = 0;
  removed_.clear();
  holds_.assign(state_.hops() + 1, 0);
}

std::vector<path_insertion::busy>& path_insertion::own(node_id n) {
  if (epochs_[n] != epoch_) {
    epochs_[n] = epoch_;
    work_[n] = state_.calendar(n);
  }
  openings_[n].epoch = 0;
  return work_[n];
}

void path_insertion::remove(microbatch_id m) {
  for (std::uint32_t h = 0; h <= state_.hops(); ++h)
    std::erase_if(own(state_.hop_at(m, h)), [m](const busy& b) { return b.owner == m; });
  const task first = state_.first_task(m);
  for (std::uint32_t h = 0; h <= state_.hops(); ++h)
    holds_[h] += state_.end[first + state_.steps() - 1 - h] - state_.start[first + h];
  removed_.push_back(m);
  is_out_[m] = 1;
}

void path_insertion::allow_delays(double limit) {
  node_free_.assign(work_.size(), limit);
  for (std::size_t i = state_.sequence.size(); i-- > 0;) {
    const task t = state_.sequence[i];
    if (is_out_[t / state_.width()])
      continue;
    const node_id n = state_.node_of(t);
    double end = std::min(node_free_[n], limit - state_.reduction_after(t));
    if (t % state_.width() < state_.steps())
      end = std::min(end, latest_[t + 1] - state_.link_to(t + 1));
    latest_[t] = node_free_[n] = end - state_.seconds(t);
  }
}

const std::vector<path_insertion::opening>& path_insertion::openings(node_id n) {
  opening_list& x = openings_[n];
  if (x.epoch != epoch_)
    list_openings(n, calendar(n), x.list);
  x.epoch = epoch_;
  return x.list;
}

void path_insertion::list_openings(node_id n, const std::vector<busy>& tasks,
                                   std::vector<opening>& list) const {
  const auto memory = static_cast<std::int32_t>(state_.problem().nodes[n].memory);
  list.clear();
  // A slot that is free now stays so until the level reaches the memory again: found backwards.
  std::int32_t level = 0;
  for (const busy& b : tasks)
    level += b.held;
  moment end{infinite, infinite}, until = end;
  for (std::size_t i = tasks.size() + 1; i-- > 0;) {
    // Here the gap before task i, with `level` slots taken in it.
    const double start = i > 0 ? tasks[i - 1].end : 0;
    if (level < memory && start + least_forward_[n] <= end.seconds)
      list.push_back({start, end, until});
    if (i > 0) {
      end = {latest(tasks[i - 1]), tasks[i - 1].start};
      if (level >= memory && tasks[i - 1].held > 0)
        until = end;
      level -= tasks[i - 1].held;
    }
  }
  std::reverse(list.begin(), list.end());
}

/// The first gap at or after `ready`, in a turn not before `turn`, for a forward whose slot stays free
/// for `hold` seconds; one at infinity when there is none.
path_insertion::window path_insertion::first_window(node_id n, double ready, double seconds,
                                                    double hold, double turn) {
  for (const opening& x : openings(n)) {
    const double begin = std::max(ready, x.start);
    if (begin + seconds <= x.end.seconds && begin + hold <= x.until.seconds && x.end.turn >= turn)
      return {{begin, std::max(turn, std::min(begin, x.end.turn))}, x.until};
  }
  return {{infinite, infinite}, {infinite, infinite}};
}

path_insertion::moment path_insertion::gap(node_id n, double ready, double seconds,
                                           double turn) const {
  for (const busy& b : calendar(n)) {
    if (b.end <= ready)
      continue;
    if (b.start >= turn && ready + seconds <= latest(b))
      return {ready, std::max(turn, std::min(ready, b.start))};
    ready = b.end;
  }
  return {ready, std::max(turn, ready)};
}

namespace {

/// Whether `hops` more of the `allowed` stages, all `required` ones among them, may still follow.
bool can_end(const route_state& rules, std::uint64_t allowed, std::uint64_t required,
             std::uint32_t hops, const path_limits& limits) {
  const std::uint64_t behind = (std::uint64_t{1} << rules.frontier) - 1;
  std::uint32_t swaps = rules.swaps, distance = rules.total_distance;
  for (std::uint64_t x = required & behind; x != 0; x &= x - 1) {
    const std::uint32_t d = rules.frontier - static_cast<std::uint32_t>(std::countr_zero(x));
    ++swaps;
    distance += d;
    if (d > limits.max_swap_distance)
      return false;
  }
  if (swaps > limits.max_swaps || distance > limits.max_total_swap_distance)
    return false;
  return static_cast<std::uint32_t>(std::popcount(allowed & ~behind)) + limits.max_swaps
             - rules.swaps
         >= hops;
}

} // namespace

/// Takes the place of the worst where all are taken.
void path_insertion::level::add(const partial& p) {
  if (!full())
    ++count;
  std::size_t i = count - 1;
  for (; i > 0 && p.key < best[i - 1].key; --i)
    best[i] = best[i - 1];
  best[i] = p;
}

const path_insertion::found* path_insertion::find(node_id origin, double soonest, const choice& c,
                                                  random_source& random) {
  const instance& problem = state_.problem();
  const std::uint32_t hops = state_.hops();
  best_.finish = c.limit;
  found_ = false;
  const task_costs home = costs_[origin * problem.stages];
  // How long slots stay taken is known at the end only; asking for more finds fewer ways that fail.
  const double patience = (0.4 + 0.7 * random.unit()) / double(removed_.size());
  partial root{};
  root.back = home.loss_s + home.backward_s;
  root.node = origin;
  levels_[0].count = 0;
  for (int i = 0; i < 2; ++i) { // The next two turns.
    root.taken = first_window(origin, soonest, home.forward_s, patience * holds_[0], 0);
    if (root.taken.start.seconds == infinite)
      break;
    soonest = root.end = root.taken.start.seconds + home.forward_s;
    root.limit = root.taken.until.seconds;
    levels_[0].best[levels_[0].count++] = root;
  }
  const bool blinks = random.below(2) == 0;
  const std::size_t nodes = problem.nodes.size();
  const task_costs* const costs = costs_.data();
  const double* const link_home = &link_to_[origin * nodes];
  for (std::uint32_t h = 1; h <= hops; ++h) {
    auto& level = levels_[h];
    level.count = 0;
    double worst = c.limit; // What is not sooner is no use.
    const double still = (hops - h) * least_;
    for (std::uint32_t i = 0; i < levels_[h - 1].count; ++i) {
      const partial& from = levels_[h - 1].best[i];
      std::uint64_t open = c.allowed & ~from.used;
      const std::uint64_t must = c.required & ~from.used;
      if (c.route != nullptr)
        open = std::uint64_t{1} << c.route[h - 1];
      else if (static_cast<std::uint32_t>(std::popcount(must)) > hops - h)
        open = must;
      if (static_cast<std::uint32_t>(std::popcount(must)) > hops - h + 1)
        continue;
      std::uint64_t fit = 0;
      for (; open != 0; open &= open - 1) {
        const auto s = static_cast<stage_id>(std::countr_zero(open));
        rules_[s] = from.rules;
        const std::uint64_t used = from.used | (std::uint64_t{1} << s);
        if (rules_[s].visit(s, problem.limits)
            && can_end(rules_[s], c.allowed & ~used, c.required & ~used, hops - h, problem.limits))
          fit |= std::uint64_t{1} << s;
      }
      if (fit == 0)
        continue;
      const double* const link_from = &problem.link_s[from.node * nodes];
      const double* const link_back = &link_to_[from.node * nodes];
      for (; fit != 0; fit &= fit - 1) {
        const auto s = static_cast<stage_id>(std::countr_zero(fit));
        for (const node_id n : state_.nodes_of[s]) {
          const task_costs& x = costs[n * problem.stages + s];
          const double ready = from.end + link_from[n];
          const double back = from.back + x.backward_s + link_back[n];
          const double home_link = link_home[n];
          const double least = ready + x.forward_s + back + home_link * 0.5;
          if (least >= worst || least + home_link * 0.5 + still >= c.limit)
            continue;
          if (blinks && random.below(16) == 0)
            continue;
          const double hold =
              std::max(patience * holds_[h], x.forward_s + still + home_link + home.loss_s
                                                 + problem.link(origin, n) + x.backward_s);
          const double after = back - x.backward_s - home.loss_s;
          const window w = first_window(n, ready, x.forward_s, hold, from.taken.start.turn);
          const double end = w.start.seconds + x.forward_s, key = end + back + home_link * 0.5;
          if (key >= worst || key + home_link * 0.5 + still >= c.limit
              || w.start.seconds + hold + after > from.limit)
            continue;
          level.add({key, end, back, std::min(from.limit, w.until.seconds + after), w,
                     from.used | (std::uint64_t{1} << s), rules_[s], n, i});
          if (level.full())
            worst = std::min(c.limit, level.best.back().key);
        }
      }
    }
  }
  for (std::uint32_t i = 0; i < levels_[hops].count; ++i)
    if (levels_[hops].best[i].end + levels_[hops].best[i].back < best_.finish)
      finish(origin, i);
  return found_ ? &best_ : nullptr;
}

/// The way back of one candidate; keeps it when it is the best yet and no slot is gone too early.
void path_insertion::finish(node_id origin, std::uint32_t last) {
  const instance& problem = state_.problem();
  const std::uint32_t hops = state_.hops(), steps = state_.steps();
  const task_costs home = costs_[origin * problem.stages];
  moment now = levels_[hops].best[last].taken.start;
  double end = levels_[hops].best[last].end;
  node_id from = levels_[hops].best[last].node;
  const auto run = [&](std::uint32_t step, node_id n, double seconds) {
    now = gap(n, end + problem.link(from, n), seconds, now.turn);
    trial_.start[step] = now.seconds;
    trial_.turn[step] = now.turn;
    end = now.seconds + seconds;
    from = n;
  };
  // Whether the forward's slot is free until the backward that just ran is over.
  const auto keeps_slot = [&](std::uint32_t h, const window& forward) {
    trial_.start[h] = forward.start.seconds;
    trial_.turn[h] = forward.start.turn;
    return end <= forward.until.seconds && now.turn <= forward.until.turn && end < best_.finish;
  };
  run(hops + 1, origin, home.loss_s);
  std::uint32_t at = last;
  for (std::uint32_t h = hops; h > 0; --h) {
    const partial& p = levels_[h].best[at];
    run(steps - 1 - h, p.node,
        costs_[p.node * problem.stages + state_.stage_of[p.node]].backward_s);
    trial_.hops[h] = p.node;
    if (!keeps_slot(h, p.taken))
      return;
    at = p.parent;
  }
  run(steps - 1, origin, home.backward_s);
  trial_.hops[0] = origin;
  if (!keeps_slot(0, levels_[0].best[at].taken))
    return;
  trial_.finish = end;
  std::swap(trial_, best_);
  found_ = true;
}

/// Delays what follows the task at `at` on its node where that ends too late for it.
void path_insertion::delay_after(std::vector<busy>& tasks, std::size_t at) {
  for (; at + 1 < tasks.size(); ++at) {
    busy& next = tasks[at + 1];
    const double end = tasks[at].end + state_.seconds(next.id);
    if (end <= next.end)
      return;
    latest_[next.id] = std::max(latest_[next.id], tasks[at].end);
    next.end = end;
  }
}

void path_insertion::insert(microbatch_id m, const found& way) {
  const std::uint32_t hops = state_.hops(), steps = state_.steps();
  for (std::uint32_t i = 0; i < steps; ++i) {
    const task t = state_.first_task(m) + i;
    const std::int32_t held = i <= hops ? 1 : (i == hops + 1 ? 0 : -1);
    auto& tasks = own(state_.node_of(t));
    const busy b{way.turn[i], way.start[i] + state_.seconds(t), m, t, held};
    latest_[t] = way.start[i];
    const auto at = tasks.insert(
        std::lower_bound(tasks.begin(), tasks.end(), b,
                         [](const busy& x, const busy& y) { return x.start < y.start; }),
        b);
    delay_after(tasks, static_cast<std::size_t>(at - tasks.begin()));
  }
}

} // namespace skippipe::scheduler
