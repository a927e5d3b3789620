// The move that looks for the best paths through what the other microbatches leave free.
#include "scheduler/search.hpp"

#include <algorithm>
#include <limits>

namespace skippipe::scheduler {

/// Tries stages and nodes for hop `h` onward; keeps the path that would come back first.
void search::descend(const insertion& job, std::uint32_t h, double time, double back,
                     route_state rules, std::uint64_t open) {
  const node_id last = trial_[h - 1];
  if (fixed_routes_ && h <= state_.hops())
    open = std::uint64_t{1} << state_.stage_of[state_.hop_at(job.m, h)];
  if (h > state_.hops()) {
    // Back through the gaps.
    const node_id origin = trial_[0];
    const task_costs home = problem_.costs(origin, 0);
    double t = state_.gap(origin, time + problem_.link(last, origin), home.loss_s, is_moved_)
               + home.loss_s;
    node_id from = origin;
    for (std::uint32_t x = state_.hops(); x > 0; --x) {
      const node_id n = trial_[x];
      const double b = problem_.costs(n, state_.stage_of[n]).backward_s;
      t = state_.gap(n, t + problem_.link(from, n), b, is_moved_) + b;
      from = n;
    }
    t = state_.gap(origin, t + problem_.link(from, origin), home.backward_s, is_moved_)
        + home.backward_s;
    t *= 1 + job.noise * random_.unit();
    if (t < best_finish_) {
      best_finish_ = t;
      best_trial_ = trial_;
    }
    return;
  }
  if (budget_ == 0)
    return;
  for (std::uint64_t left = open; left != 0; left &= left - 1) {
    const stage_id s = static_cast<stage_id>(__builtin_ctzll(left));
    route_state next = rules;
    if (!next.visit(s, problem_.limits))
      continue;
    const auto& nodes = state_.nodes_of[s];
    const std::uint32_t count = static_cast<std::uint32_t>(nodes.size());
    const std::uint32_t offset = random_.below(count), tries = std::min(count, job.width);
    for (std::uint32_t i = 0; i < tries; ++i) {
      const node_id n = nodes[(offset + i) % count];
      const task_costs c = problem_.costs(n, s);
      const double more = back + c.backward_s + problem_.link(n, last);
      double t = time + problem_.link(last, n);
      if (t + c.forward_s + more + problem_.link(n, trial_[0]) >= best_finish_)
        continue;
      t = state_.gap(n, t, c.forward_s, is_moved_) + c.forward_s;
      if (t + more >= best_finish_)
        continue;
      if (budget_ > 0)
        --budget_;
      trial_[h] = n;
      descend(job, h + 1, t, more, next, open & ~(std::uint64_t{1} << s));
    }
  }
}

/// Takes one or two microbatches out and puts each back on the best path through the gaps, their
/// stages pooled.
bool search::rebuild_path() {
  if (problem_.stages > 64)
    return false;
  const microbatch_id m = random_.below(state_.microbatches());
  microbatch_id other = m;
  if (!fixed_routes_ && state_.microbatches() > 1 && random_.below(2)) {
    other = random_.below(state_.microbatches() - 1);
    other += other >= m;
  }
  touch(m);
  if (other != m)
    touch(other);
  const auto mask = [&](microbatch_id x) {
    std::uint64_t bits = 0;
    for (std::uint32_t h = 1; h <= state_.hops(); ++h)
      bits |= std::uint64_t{1} << state_.stage_of[state_.hop_at(x, h)];
    return bits;
  };
  std::uint64_t sets[2] = {mask(m), mask(other)};
  if (other != m) {
    // Deals out the stages that only one of them has.
    std::uint64_t odd = sets[0] ^ sets[1], both = sets[0] & sets[1];
    std::vector<stage_id>& pool = pool_;
    pool.clear();
    for (std::uint64_t x = odd; x != 0; x &= x - 1)
      pool.push_back(static_cast<stage_id>(__builtin_ctzll(x)));
    random_.shuffle(pool);
    sets[0] = sets[1] = both;
    for (std::size_t i = 0; i < pool.size(); ++i)
      sets[i % 2] |= std::uint64_t{1} << pool[i];
  }
  for (std::uint32_t i = 0; i < edit_.count; ++i) {
    const microbatch_id x = edit_.touched[i];
    insertion job{x, random_.below(2) ? random_.unit() * 0.1 : 0, 4};
    trial_.assign(state_.hops() + 1, 0);
    trial_[0] = state_.hop_at(x, 0);
    best_finish_ = std::numeric_limits<double>::infinity();
    best_trial_.clear();
    budget_ = 300;
    const task_costs home = problem_.costs(trial_[0], 0);
    descend(job, 1, state_.end[state_.first_task(x)], home.loss_s + home.backward_s, {}, sets[i]);
    if (best_trial_.empty()) {
      undo();
      return false;
    }
    for (std::uint32_t h = 1; h <= state_.hops(); ++h) {
      --state_.visits[state_.stage_of[state_.hop_at(x, h)]];
      ++state_.visits[state_.stage_of[best_trial_[h]]];
      state_.hop_at(x, h) = best_trial_[h];
    }
  }
  return true;
}

} // namespace skippipe::scheduler
