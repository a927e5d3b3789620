#include "scheduler/search.hpp"

#include <algorithm>
#include <cmath>

namespace skippipe::scheduler {

search::search(const instance& problem, std::uint64_t seed, bool fixed_arrangement,
               bool fixed_routes)
    : problem_(problem), random_(seed), fixed_arrangement_(fixed_arrangement),
      fixed_routes_(fixed_routes), state_(problem) {}

void search::touch(microbatch_id m) {
  const std::uint32_t i = edit_.count++;
  edit_.touched[i] = m;
  is_moved_[m] = 1;
  edit_.hops[i].assign(&state_.hop_at(m, 0), &state_.hop_at(m, 0) + state_.hops() + 1);
}

void search::undo() {
  if (edit_.roles)
    apply_roles(edit_.swapped[0], edit_.swapped[1]);
  for (std::uint32_t i = 0; i < edit_.count; ++i) {
    const microbatch_id m = edit_.touched[i];
    for (std::uint32_t h = 1; h <= state_.hops(); ++h) {
      --state_.visits[state_.stage_of[state_.hop_at(m, h)]];
      ++state_.visits[state_.stage_of[edit_.hops[i][h]]];
    }
    std::copy(edit_.hops[i].begin(), edit_.hops[i].end(), &state_.hop_at(m, 0));
    state_.refresh(m);
  }
}

bool search::route_fits(microbatch_id m) const {
  route_state r;
  for (std::uint32_t h = 1; h <= state_.hops(); ++h)
    if (!r.visit(state_.stage_of[state_.hop_at(m, h)], problem_.limits))
      return false;
  return true;
}

bool search::change_node() {
  const microbatch_id m = random_.below(state_.microbatches());
  const std::uint32_t h = random_.below(state_.hops() + 1);
  if (h == 0) { // Any other way of the same microbatch through the same nodes.
    touch(m);
    return true;
  }
  const node_id old = state_.hop_at(m, h);
  const auto& nodes = state_.nodes_of[state_.stage_of[old]];
  const node_id chosen = nodes[random_.below(static_cast<std::uint32_t>(nodes.size()))];
  touch(m);
  state_.hop_at(m, h) = chosen;
  return true;
}

bool search::exchange_stages() {
  if (problem_.stages < 3)
    return false;
  const microbatch_id m = random_.below(state_.microbatches());
  const std::uint32_t h = 1 + random_.below(state_.hops());
  const stage_id from = state_.stage_of[state_.hop_at(m, h)];
  const stage_id to = 1 + random_.below(problem_.stages - 1);
  if (to == from)
    return false;
  for (std::uint32_t i = 1; i <= state_.hops(); ++i)
    if (state_.stage_of[state_.hop_at(m, i)] == to)
      return false;
  const auto pick = [&](stage_id s) {
    const auto& nodes = state_.nodes_of[s];
    return nodes[random_.below(static_cast<std::uint32_t>(nodes.size()))];
  };
  touch(m);
  state_.hop_at(m, h) = pick(to);
  --state_.visits[from];
  ++state_.visits[to];
  if (!route_fits(m)) {
    undo();
    return false;
  }
  if (state_.visits[to] <= state_.visits[from])
    return true;
  // The balance asks for the opposite change elsewhere, unless an odd visit just moved.
  const auto [least, most] = std::minmax_element(state_.visits.begin() + 1, state_.visits.end());
  if (*most - *least <= 1)
    return true;
  const std::uint32_t offset = random_.below(state_.microbatches());
  for (std::uint32_t i = 0; i < state_.microbatches(); ++i) {
    const microbatch_id other = (offset + i) % state_.microbatches();
    std::uint32_t at = 0;
    bool has_from = other == m;
    for (std::uint32_t x = 1; x <= state_.hops() && !has_from; ++x) {
      const stage_id s = state_.stage_of[state_.hop_at(other, x)];
      has_from = s == from;
      if (s == to)
        at = x;
    }
    if (has_from || at == 0)
      continue;
    const node_id old = state_.hop_at(other, at);
    const node_id chosen = pick(from);
    state_.hop_at(other, at) = chosen;
    const bool fits = route_fits(other);
    state_.hop_at(other, at) = old;
    if (!fits)
      continue;
    touch(other);
    state_.hop_at(other, at) = chosen;
    --state_.visits[to];
    ++state_.visits[from];
    return true;
  }
  undo();
  return false;
}

bool search::reorder_hops() {
  if (state_.hops() < 2)
    return false;
  const microbatch_id m = random_.below(state_.microbatches());
  touch(m);
  const std::uint32_t a = 1 + random_.below(state_.hops());
  std::uint32_t b = 1 + random_.below(state_.hops() - 1);
  b += b >= a;
  std::swap(state_.hop_at(m, a), state_.hop_at(m, b));
  if (route_fits(m))
    return true;
  undo();
  return false;
}

bool search::exchange_tails() {
  if (state_.microbatches() < 2)
    return false;
  const microbatch_id m = random_.below(state_.microbatches());
  microbatch_id other = random_.below(state_.microbatches() - 1);
  other += other >= m;
  touch(m);
  touch(other);
  if (fixed_routes_) {
    if (state_.hop_at(m, 0) == state_.hop_at(other, 0)) {
      undo();
      return false;
    }
    std::swap(state_.hop_at(m, 0), state_.hop_at(other, 0));
    return true;
  }
  const std::uint32_t from = 1 + random_.below(state_.hops());
  std::uint32_t to = state_.hops();
  if (random_.below(2))
    to = from;
  for (std::uint32_t h = from; h <= to; ++h)
    std::swap(state_.hop_at(m, h), state_.hop_at(other, h));
  const auto distinct = [&](microbatch_id x) {
    for (std::uint32_t i = 1; i <= state_.hops(); ++i)
      for (std::uint32_t j = 1; j < i; ++j)
        if (state_.stage_of[state_.hop_at(x, i)] == state_.stage_of[state_.hop_at(x, j)])
          return false;
    return true;
  };
  if (distinct(m) && distinct(other) && route_fits(m) && route_fits(other))
    return true;
  undo();
  return false;
}

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

void search::apply_roles(node_id a, node_id b) {
  const stage_id sa = state_.stage_of[a], sb = state_.stage_of[b];
  if (sa != sb) {
    auto& nodes_a = state_.nodes_of[sa];
    auto& nodes_b = state_.nodes_of[sb];
    *std::find(nodes_a.begin(), nodes_a.end(), a) = b;
    *std::find(nodes_b.begin(), nodes_b.end(), b) = a;
  }
  state_.stage_of[a] = sb;
  state_.stage_of[b] = sa;
  for (microbatch_id m = 0; m < state_.microbatches(); ++m) {
    bool used = false;
    for (std::uint32_t h = 0; h <= state_.hops(); ++h) {
      node_id& n = state_.hop_at(m, h);
      if (n == a || n == b) {
        n = n == a ? b : a;
        used = true;
      }
    }
    if (used)
      state_.refresh(m);
  }
}

bool search::swap_roles() {
  const auto nodes = static_cast<std::uint32_t>(problem_.nodes.size());
  const node_id a = random_.below(nodes);
  node_id b;
  if (fixed_arrangement_) {
    const auto& peers = state_.nodes_of[state_.stage_of[a]];
    b = peers[random_.below(static_cast<std::uint32_t>(peers.size()))];
  } else {
    b = random_.below(nodes);
  }
  if (a == b)
    return false;
  const auto visits = [&](microbatch_id m, node_id n) {
    for (std::uint32_t h = 0; h <= state_.hops(); ++h)
      if (state_.hop_at(m, h) == n)
        return true;
    return false;
  };
  // Either all that is affected asks for new times, or the present order is kept.
  if (random_.below(4) != 0) {
    std::uint32_t affected = 0;
    for (microbatch_id m = 0; m < state_.microbatches() && affected <= edit::most; ++m)
      affected += visits(m, a) || visits(m, b);
    for (microbatch_id m = 0; m < state_.microbatches() && affected <= edit::most; ++m)
      if (visits(m, a) || visits(m, b))
        touch(m);
  }
  edit_.roles = true;
  edit_.swapped[0] = a;
  edit_.swapped[1] = b;
  apply_roles(a, b);
  return true;
}

/// Asks for times of all steps of `m`: mostly gaps that other work leaves, now and then ahead of
/// others or later.
void search::place(microbatch_id m, bool calm) {
  const task first = state_.first_task(m);
  const bool use_gaps = calm || random_.below(4) != 0;
  double ready = state_.start[first];
  const std::uint32_t variation = calm ? 7 : random_.below(8);
  if (variation == 0) {
    // Takes the turn of another microbatch.
    ready = state_.start[state_.first_task(random_.below(state_.microbatches()))];
  } else if (variation == 1) {
    ready = std::max(0.0, ready + (random_.unit() - 0.5) * 8 * state_.seconds(first));
  }
  const std::uint32_t odd = calm ? state_.steps() : random_.below(2 * state_.steps());
  for (std::uint32_t i = 0; i < state_.steps(); ++i) {
    const task t = first + i;
    if (i > 0)
      ready += state_.link_to(t);
    if (i == odd)
      ready += (random_.unit() - 0.3) * 4 * state_.seconds(t);
    else if (use_gaps)
      ready = state_.gap(state_.node_of(t), ready, state_.seconds(t), is_moved_);
    if (i > 0)
      ready = std::max(ready, wanted_[t - 1]);
    wanted_[t] = ready;
    ready += state_.seconds(t);
  }
}

/// Finds a task on the way to the last end of some origin that waits for its node, and asks for the
/// opposite order of it and the task it waits for.
bool search::swap_collision() {
  task t = state_.first_task(random_.below(state_.microbatches())) + state_.steps() - 1;
  if (random_.below(2)) {
    for (microbatch_id m = 0; m < state_.microbatches(); ++m) {
      const task last = state_.first_task(m) + state_.steps() - 1;
      if (state_.end[last] > state_.end[t])
        t = last;
    }
  }
  task before = 0, after = 0;
  std::uint32_t seen = 0;
  while (true) {
    const auto& calendar = state_.calendar(state_.node_of(t));
    auto it = std::lower_bound(calendar.begin(), calendar.end(), state_.start[t],
                               [](const search_state::busy& b, double x) { return b.start < x; });
    while (it != calendar.end() && it->id != t)
      ++it;
    const bool first_step = t % state_.width() == 1;
    const double arrival = first_step ? 0 : state_.end[t - 1] + state_.link_to(t);
    if (it != calendar.begin() && arrival < (it - 1)->end) {
      const task u = (it - 1)->id;
      if (u / state_.width() != t / state_.width() && random_.below(++seen) == 0) {
        before = u;
        after = t;
      }
      t = u;
    } else if (first_step) {
      break;
    } else {
      --t;
    }
  }
  if (seen == 0)
    return false;
  const bool first_step = after % state_.width() == 1;
  const double arrival = first_step ? 0 : state_.end[after - 1] + state_.link_to(after);
  const microbatch_id early = before / state_.width(), late = after / state_.width();
  const task pred = after - 1;
  if ((first_step || state_.start[pred] < state_.start[before]) && random_.below(2)) {
    touch(late);
    const double ask = state_.start[before];
    for (std::uint32_t i = 0; i < state_.steps(); ++i) {
      const task x = state_.first_task(late) + i;
      wanted_[x] = x == after ? ask : state_.start[x] - (x > after ? state_.start[after] - ask : 0);
      if (x > after)
        wanted_[x] = std::max(wanted_[x], ask);
    }
    return true;
  }
  touch(early);
  const double ask = std::max(arrival, state_.start[after]) + 1e-9;
  double shift = 0;
  for (std::uint32_t i = 0; i < state_.steps(); ++i) {
    const task x = state_.first_task(early) + i;
    if (x == before)
      shift = ask - state_.start[before];
    wanted_[x] = state_.start[x] + shift;
  }
  return true;
}

/// The committed sequence with the touched microbatches' tasks at the times they ask for.
const std::vector<search::task>& search::merged() {
  moved_.clear();
  for (std::uint32_t i = 0; i < edit_.count; ++i) {
    const microbatch_id m = edit_.touched[i];
    for (std::uint32_t s = 0; s < state_.steps(); ++s)
      moved_.push_back(state_.first_task(m) + s);
  }
  const auto sooner = [&](task a, task b) { return wanted_[a] < wanted_[b]; };
  if (edit_.count > 1)
    std::stable_sort(moved_.begin(), moved_.end(), sooner);
  // Nothing changes before the first task that leaves its place or wants another one.
  std::size_t from = state_.sequence.size();
  for (const task t : moved_)
    from = std::min<std::size_t>(from, state_.place_of(t));
  const double first_want = wanted_[moved_.front()];
  from = std::min(from,
                  static_cast<std::size_t>(
                      std::lower_bound(state_.sequence.begin(), state_.sequence.end(), first_want,
                                       [&](task t, double x) { return state_.start[t] < x; })
                      - state_.sequence.begin()));
  from_ = from;
  candidate_.resize(state_.sequence.size());
  std::copy_n(state_.sequence.begin(), from, candidate_.begin());
  std::size_t next = 0, out = from, at = from;
  for (; at < state_.sequence.size(); ++at) {
    const task t = state_.sequence[at];
    if (is_moved_[t / state_.width()])
      continue;
    while (next < moved_.size() && wanted_[moved_[next]] <= state_.start[t])
      candidate_[out++] = moved_[next++];
    candidate_[out++] = t;
  }
  while (next < moved_.size())
    candidate_[out++] = moved_[next++];
  return candidate_;
}

bool search::same_paths() const {
  for (std::uint32_t i = 0; i < edit_.count; ++i)
    if (!std::equal(edit_.hops[i].begin(), edit_.hops[i].end(),
                    &state_.hop_node[edit_.touched[i] * (state_.hops() + 1)]))
      return false;
  return true;
}

/// Whether a proposed move changes a path that must stay.
bool search::moves_frozen() const {
  if (frozen_.empty())
    return false;
  if (edit_.roles) {
    for (microbatch_id m = 0; m < state_.microbatches(); ++m)
      for (std::uint32_t h = 0; frozen_[m] && h <= state_.hops(); ++h)
        if (const node_id n = state_.hop_at(m, h); n == edit_.swapped[0] || n == edit_.swapped[1])
          return true;
    return false;
  }
  for (std::uint32_t i = 0; i < edit_.count; ++i)
    if (frozen_[edit_.touched[i]]
        && !std::equal(edit_.hops[i].begin(), edit_.hops[i].end(),
                       &state_.hop_node[edit_.touched[i] * (state_.hops() + 1)]))
      return true;
  return false;
}

bool search::propose(std::uint32_t kind) {
  for (std::uint32_t i = 0; i < edit_.count; ++i)
    is_moved_[edit_.touched[i]] = 0;
  edit_.count = 0;
  edit_.roles = false;
  placed_ = false;
  switch (kind) {
    case 0:
      return change_node();
    case 1:
      return exchange_stages();
    case 2:
      return reorder_hops();
    case 3:
      return exchange_tails();
    case 4:
      return rebuild_path();
    case 5:
      return swap_roles();
    default:
      touch(random_.below(state_.microbatches()));
      return true;
  }
}

plan search::improve(const plan& from, const search_limits& limits) {
  state_.load(from);
  frozen_ = limits.frozen;
  wanted_.assign(std::size_t{state_.microbatches()} * state_.width(), 0);
  is_moved_.assign(state_.microbatches(), 0);
  edit_.count = 0;
  std::vector<node_id> best_hops = state_.hop_node;
  auto best_nodes = state_.nodes_of;
  auto best_sequence = state_.sequence;
  search_state::score best = state_.value;

  const bool hops = state_.hops() > 0;
  const double shares[8] = {hops ? 0.05 : 0,
                            hops && !fixed_routes_ ? 0.12 : 0,
                            hops && !fixed_routes_ ? 0.08 : 0,
                            hops ? 0.14 : 0,
                            hops ? (problem_.nodes.size() > 40 ? 0.3 : 0.1) : 0,
                            fixed_arrangement_ ? 0.02 : 0.12,
                            0.2,
                            0.24};
  double sum = 0;
  for (double s : shares)
    sum += s;
  const double origins = double(state_.nodes_of[0].size());
  // Large problems get fewer steps per microbatch: they start cooler and cool from there.
  const bool large = problem_.nodes.size() > 40;
  const double hot = limits.heat * (large ? 0.02 : 0.1) / origins * best.makespan;
  const double cold = 0.0005 / origins * best.makespan;
  double temperature = hot;
  while (best.makespan > limits.lower_bound_s * (1 + 1e-9)) {
    if (iterations_ % 64 == 0) {
      double progress;
      const double left =
          std::chrono::duration<double>(limits.deadline - std::chrono::steady_clock::now()).count();
      if (limits.max_iterations > 0)
        progress = double(iterations_) / double(limits.max_iterations);
      else
        progress = 1 - left / limits.seconds;
      if (progress >= 1 || left <= 0)
        break;
      temperature = hot * std::pow(cold / hot, progress);
    }
    ++iterations_;
    double x = random_.unit() * sum;
    std::uint32_t kind = 0;
    while (kind < 7 && x >= shares[kind])
      x -= shares[kind++];
    if (!propose(kind))
      continue;
    if (moves_frozen()) {
      undo();
      continue;
    }
    for (std::uint32_t i = 0; i < edit_.count; ++i) {
      if (placed_)
        continue;
      state_.refresh(edit_.touched[i]);
      place(edit_.touched[i], edit_.roles);
    }
    if (edit_.roles && edit_.count == 0) {
      candidate_ = state_.sequence;
      from_ = 0;
    } else if (merged() == state_.sequence && !edit_.roles && same_paths()) {
      continue;
    }
    const double bar = state_.value.cost - temperature * std::log(1 - random_.unit());
    // Hopeless once the makespan alone has used up what the bar leaves for it.
    const double limit = bar - (state_.value.cost - state_.value.makespan) * 0.98;
    const search_state::score s = state_.time(candidate_, from_, limit);
    if (!(s.cost <= bar)) {
      undo();
      continue;
    }
    state_.commit(candidate_, from_, s);
    if (s.makespan < best.makespan - 1e-12
        || (s.makespan < best.makespan + 1e-12 && s.cost < best.cost)) {
      best = s;
      best_hops = state_.hop_node;
      best_nodes = state_.nodes_of;
      best_sequence = state_.sequence;
    }
  }
  state_.nodes_of = best_nodes;
  for (stage_id s = 0; s < best_nodes.size(); ++s)
    for (node_id n : best_nodes[s])
      state_.stage_of[n] = s;
  state_.hop_node = best_hops;
  for (microbatch_id m = 0; m < state_.microbatches(); ++m)
    state_.refresh(m);
  state_.commit(best_sequence, 0, state_.time(best_sequence, 0));
  return state_.to_plan("skippipe");
}

} // namespace skippipe::scheduler
