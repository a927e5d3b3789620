#include "scheduler/exchange.hpp"

#include <algorithm>

namespace skippipe::scheduler {

exchange::exchange(const instance& problem, const std::vector<std::uint8_t>& frozen,
                   bool free_sizes, std::uint64_t seed)
    : problem_(problem), frozen_(frozen), free_sizes_(free_sizes), random_(seed), state_(problem),
      insertion_(state_) {}

/// In random order: a deadline may leave some untried.
std::vector<exchange::change> exchange::candidates(stage_id needy) {
  std::vector<change> result;
  const auto nodes = static_cast<node_id>(problem_.nodes.size());
  for (node_id a = 0; a < nodes; ++a) {
    const stage_id from = state_.stage_of[a];
    if (from == needy)
      continue;
    for (const node_id b : state_.nodes_of[needy])
      result.push_back({a, b, needy, true});
    // An origin that went over would take its share of the microbatches along.
    if (free_sizes_ && from != 0 && needy != 0 && state_.nodes_of[from].size() > 1)
      result.push_back({a, a, needy, false});
  }
  for (std::size_t i = result.size(); i > 1; --i)
    std::swap(result[i - 1], result[random_.below(static_cast<std::uint32_t>(i))]);
  return result;
}

/// Brings the arrangement from before to after `c`; a trade undoes itself.
void exchange::put_roles(const change& c) {
  const stage_id from = state_.stage_of[c.a];
  auto& source = state_.nodes_of[from];
  if (!c.trade) {
    source.erase(std::find(source.begin(), source.end(), c.a));
    state_.nodes_of[c.to].push_back(c.a);
    state_.stage_of[c.a] = c.to;
    return;
  }
  const stage_id to = state_.stage_of[c.b];
  auto& target = state_.nodes_of[to];
  std::swap(*std::find(source.begin(), source.end(), c.a),
            *std::find(target.begin(), target.end(), c.b));
  std::swap(state_.stage_of[c.a], state_.stage_of[c.b]);
}

/// Puts the touched microbatches back, those that started first first, each on its best way.
bool exchange::put_back() {
  std::sort(touched_.begin(), touched_.end(), [&](microbatch_id x, microbatch_id y) {
    return state_.start[state_.first_task(x)] < state_.start[state_.first_task(y)];
  });
  for (std::size_t i = 0; i < touched_.size(); ++i) {
    const microbatch_id m = touched_[i];
    path_insertion::choice c;
    c.limit = 1.5 * state_.value.seconds;
    for (stage_id s = 1; s < problem_.stages; ++s) {
      if (pool_[s] > 0)
        c.allowed |= std::uint64_t{1} << s;
      if (pool_[s] == touched_.size() - i)
        c.required |= std::uint64_t{1} << s;
    }
    const auto* way =
        insertion_.find(state_.hop_at(m, 0), state_.start[state_.first_task(m)], c, random_);
    if (way == nullptr)
      way = insertion_.find(state_.hop_at(m, 0), 0, c, random_);
    if (way == nullptr)
      return false;
    for (std::uint32_t h = 1; h <= state_.hops(); ++h) {
      --pool_[state_.stage_of[way->hops[h]]];
      state_.hop_at(m, h) = way->hops[h];
    }
    std::copy(way->turn.begin(), way->turn.end(), &wanted_[state_.first_task(m)]);
    state_.refresh(m);
    insertion_.insert(m, *way);
  }
  return true;
}

/// Changes the state's roles and paths as `c` says; `order_` is then what the tasks ask for. False when a
/// microbatch that must stay is in the way, or one finds no way.
bool exchange::attempt(const change& c) {
  touched_.clear();
  pool_.assign(problem_.stages, 0);
  for (microbatch_id m = 0; m < state_.microbatches(); ++m) {
    bool uses = false;
    for (std::uint32_t h = 0; h <= state_.hops(); ++h)
      uses |= state_.hop_at(m, h) == c.a || state_.hop_at(m, h) == c.b;
    if (!uses)
      continue;
    if (!frozen_.empty() && frozen_[m])
      return false;
    touched_.push_back(m);
    for (std::uint32_t h = 1; h <= state_.hops(); ++h)
      ++pool_[state_.stage_of[state_.hop_at(m, h)]];
  }
  insertion_.begin();
  for (const microbatch_id m : touched_)
    insertion_.remove(m);
  insertion_.allow_delays(0); // With delays that add up unseen, worse trades were chosen.
  put_roles(c);
  for (const microbatch_id m : touched_) // An origin's microbatches start where it was.
    if (c.trade && (state_.hop_at(m, 0) == c.a || state_.hop_at(m, 0) == c.b))
      state_.hop_at(m, 0) = state_.hop_at(m, 0) == c.a ? c.b : c.a;
  wanted_ = state_.start;
  if (!put_back())
    return false;
  order_ = state_.sequence;
  std::stable_sort(order_.begin(), order_.end(),
                   [&](task x, task y) { return wanted_[x] < wanted_[y]; });
  return true;
}

plan exchange::improve(const plan& start, stage_id needy, double worth,
                       std::chrono::steady_clock::time_point deadline) {
  if (problem_.stages > path_insertion::most_stages || start.paths.front().hops.empty())
    return start;
  state_.load(start);
  insertion_.load();
  const auto nodes_before = state_.nodes_of;
  const auto stages_before = state_.stage_of;
  hops_ = state_.hop_node;
  const auto restore = [&] {
    state_.nodes_of = nodes_before;
    state_.stage_of = stages_before;
    state_.hop_node = hops_;
    for (const microbatch_id m : touched_)
      state_.refresh(m);
  };
  search_state::score best = state_.value;
  double bar = 0;
  std::vector<task> best_order;
  std::vector<node_id> best_hops;
  auto best_nodes = nodes_before;
  auto best_stages = stages_before;
  for (const change& c : candidates(needy)) {
    if (std::chrono::steady_clock::now() >= deadline)
      break;
    if (attempt(c)) {
      const double price = worth * state_.value.seconds * (c.trade ? 2 : 1);
      const search_state::score s = state_.time(order_, 0);
      if (state_.value.cost - s.cost - price > bar) {
        bar = state_.value.cost - s.cost - price;
        best = s;
        best_order = order_;
        best_hops = state_.hop_node;
        best_nodes = state_.nodes_of;
        best_stages = state_.stage_of;
      }
    }
    restore();
  }
  if (best_order.empty())
    return start;
  state_.nodes_of = best_nodes;
  state_.stage_of = best_stages;
  state_.hop_node = best_hops;
  for (microbatch_id m = 0; m < state_.microbatches(); ++m)
    state_.refresh(m);
  state_.commit(best_order, 0, state_.time(best_order, 0));
  return state_.to_plan(start.strategy);
}

} // namespace skippipe::scheduler
