#include "scheduler/search.hpp"

#include <algorithm>
#include <cmath>

namespace skippipe::scheduler {

search::search(const instance& problem, std::uint64_t seed, bool fixed_arrangement,
               bool fixed_routes)
    : problem_(problem), random_(seed), fixed_arrangement_(fixed_arrangement),
      fixed_routes_(fixed_routes), state_(problem), insertion_(state_) {
  const auto nodes = static_cast<node_id>(problem.nodes.size());
  near_.resize(nodes);
  for (node_id n = 0; n < nodes; ++n) {
    for (node_id x = 0; x < nodes; ++x)
      if (x != n)
        near_[n].push_back(x);
    const auto away = [&](node_id x) { return problem.link(n, x) + problem.link(x, n); };
    const auto most = std::min<std::size_t>(near_[n].size(), 32);
    std::partial_sort(near_[n].begin(), near_[n].begin() + static_cast<std::ptrdiff_t>(most),
                      near_[n].end(), [&](node_id a, node_id b) { return away(a) < away(b); });
    near_[n].resize(most);
  }
}

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
      ready = i <= state_.hops()
                  ? state_.gap_with_slot(t, ready, is_moved_)
                  : state_.gap(state_.node_of(t), ready, state_.seconds(t), is_moved_);
    if (i > 0)
      ready = std::max(ready, wanted_[t - 1]);
    wanted_[t] = ready;
    ready += state_.seconds(t);
  }
}

/// The touched microbatches' tasks by the times they ask for, and the nodes that they used so far.
void search::sort_moved() {
  moved_.clear();
  left_.clear();
  for (std::uint32_t i = 0; i < edit_.count; ++i) {
    const microbatch_id m = edit_.touched[i];
    for (std::uint32_t s = 0; s < state_.steps(); ++s)
      moved_.push_back(state_.first_task(m) + s);
    left_.insert(left_.end(), edit_.hops[i].begin(), edit_.hops[i].end());
  }
  const auto sooner = [&](task a, task b) { return wanted_[a] < wanted_[b]; };
  if (edit_.count > 1)
    std::stable_sort(moved_.begin(), moved_.end(), sooner);
}

/// The committed sequence with the touched microbatches' tasks at the times they ask for.
const std::vector<search::task>& search::merged() {
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
    if (is_frozen(edit_.touched[i])
        && !std::equal(edit_.hops[i].begin(), edit_.hops[i].end(),
                       &state_.hop_node[edit_.touched[i] * (state_.hops() + 1)]))
      return true;
  return false;
}

search::move search::pick() {
  const bool hops = state_.hops() > 0;
  const double reinserting = hops && problem_.stages <= path_insertion::most_stages ? 0.6 : 0;
  // In the time that large problems get the other moves find more. Given routes leave little else to change.
  const bool small = problem_.nodes.size() <= 100;
  const double rerouting = hops && small ? (fixed_routes_ ? 0.3 : 0.1) : 0;
  // Within a stage the other moves change who does what just as well.
  const double swapping = fixed_arrangement_ ? 0.02 : 0.4, colliding = 0.3, retiming = 0.3;
  double x = random_.unit() * (reinserting + rerouting + swapping + colliding + retiming);
  if ((x -= reinserting) < 0)
    return move::reinsert;
  if ((x -= rerouting) < 0)
    return move::reroute;
  if ((x -= swapping) < 0)
    return move::swap_roles;
  return x < colliding ? move::swap_collision : move::retime;
}

bool search::propose(move kind) {
  for (std::uint32_t i = 0; i < edit_.count; ++i)
    is_moved_[edit_.touched[i]] = 0;
  edit_.count = 0;
  edit_.roles = false;
  switch (kind) {
    case move::reinsert:
      return reinsert();
    case move::reroute:
      return reroute();
    case move::swap_roles:
      return swap_roles();
    case move::swap_collision:
      return swap_collision();
    default:
      return retime();
  }
}

plan search::improve(const plan& from, const search_limits& limits) {
  state_.load(from);
  insertion_.load();
  frozen_ = limits.frozen;
  hasty_ = limits.hasty;
  wanted_.assign(std::size_t{state_.microbatches()} * state_.width(), 0);
  is_moved_.assign(state_.microbatches(), 0);
  edit_.count = 0;
  std::vector<node_id> best_hops = state_.hop_node;
  auto best_nodes = state_.nodes_of;
  auto best_sequence = state_.sequence;
  search_state::score best = state_.value;

  // Large problems get fewer steps per microbatch: they start cooler.
  const bool large = problem_.nodes.size() > 40;
  const double unit = best.seconds / double(state_.nodes_of[0].size());
  const double hot = limits.heat * (large ? 0.6 / double(problem_.nodes.size()) : 0.05) * unit;
  const double cold = 0.0025 * unit;
  double temperature = hot;
  while (best.seconds > limits.lower_bound_s * (1 + 1e-9)) {
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
    } else if (iterations_ % 8 == 0 && std::chrono::steady_clock::now() >= limits.deadline) {
      break; // With 200 nodes 64 steps take ten milliseconds.
    }
    ++iterations_;
    const double bar = state_.value.cost - temperature * std::log(1 - random_.unit());
    // Hopeless once the makespan alone has used up what the bar leaves for it.
    limit_ = bar - (state_.value.cost - state_.value.seconds) * 0.98;
    if (!propose(pick()))
      continue;
    if (moves_frozen()) {
      undo();
      continue;
    }
    if (edit_.count > 0) {
      sort_moved();
      // Most moves end here, at the price of what they change.
      const auto seen = state_.peek(moved_, wanted_, is_moved_, left_, limit_);
      if (seen && !(seen->cost <= bar)) {
        undo();
        continue;
      }
    }
    if (edit_.count == 0) {
      candidate_ = state_.sequence;
      from_ = 0;
    } else if (merged() == state_.sequence && !edit_.roles && same_paths()) {
      continue;
    }
    const search_state::score s = state_.time(candidate_, from_, limit_);
    if (!(s.cost <= bar)) {
      undo();
      continue;
    }
    state_.commit(candidate_, from_, s);
    if (s.seconds < best.seconds - 1e-12
        || (s.seconds < best.seconds + 1e-12 && s.cost < best.cost)) {
      best = s;
      best_hops = state_.hop_node;
      best_nodes = state_.nodes_of;
      best_sequence = state_.sequence;
    }
  }
  state_.nodes_of = best_nodes;
  for (stage_id s = 0; s < best_nodes.size(); ++s) {
    for (node_id n : best_nodes[s])
      state_.stage_of[n] = s;
    state_.regroup(s);
  }
  state_.hop_node = best_hops;
  for (microbatch_id m = 0; m < state_.microbatches(); ++m)
    state_.refresh(m);
  state_.commit(best_sequence, 0, state_.time(best_sequence, 0));
  return state_.to_plan("skippipe");
}

} // namespace skippipe::scheduler
