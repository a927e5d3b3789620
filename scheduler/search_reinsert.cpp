// The move that takes several related microbatches out and puts them back on the best ways.
#include "scheduler/search.hpp"

#include <algorithm>

namespace skippipe::scheduler {

namespace {
constexpr std::uint32_t few = 3; ///< Microbatches that one move takes out at most on its own.
constexpr double sooner = 0.01;  ///< Share of the present seconds.
} // namespace

/// Another microbatch that meets one of the touched ones on a node, or is there when that node's
/// neighbourhood has work for it; any when that finds none, and now and then in haste a critical one.
microbatch_id search::related() {
  if (hasty() && random_.unit() < 0.3)
    return critical();
  for (int tries = 0; tries < 4; ++tries) {
    const microbatch_id m = edit_.touched[random_.below(edit_.count)];
    const std::uint32_t h = random_.below(state_.hops() + 1);
    const task mine = state_.first_task(m) + (random_.below(2) ? h : state_.steps() - 1 - h);
    node_id n = state_.hop_at(m, h);
    // Who sits where a better way would lead matters more than who shares the present one.
    if (!near_[n].empty() && random_.unit() < 0.7)
      n = near_[n][random_.below(1 + random_.below(static_cast<std::uint32_t>(near_[n].size())))];
    const microbatch_id other = neighbour(n, state_.start[mine]);
    if (other != nobody && !is_moved_[other])
      return other;
  }
  return random_.below(state_.microbatches());
}

/// One of the microbatches that the end of everything waited for, on their ways or on nodes that they kept
/// busy.
microbatch_id search::critical() {
  task t = none;
  double latest = -1;
  for (microbatch_id m = 0; m < state_.microbatches(); ++m)
    for (std::uint32_t i = state_.hops() + 2; i < state_.steps(); ++i) {
      const task back = state_.first_task(m) + i;
      const double over = state_.end[back] + state_.reduction_after(back);
      if (over > latest) {
        latest = over;
        t = back;
      }
    }
  microbatch_id chosen = 0, last = nobody;
  std::uint32_t seen = 0;
  for (; t != none; t = held_up_by(t))
    if (const microbatch_id m = t / state_.width(); m != last) {
      last = m;
      if (random_.below(++seen) == 0)
        chosen = m;
    }
  return chosen;
}

bool search::reinsert() {
  const microbatch_id seed = random_.below(2) ? critical() : random_.below(state_.microbatches());
  if (is_frozen(seed))
    return false;
  const std::uint32_t wanted = 1 + random_.below(std::min(few, state_.microbatches()));
  for (std::uint32_t i = 0; i < wanted; ++i) {
    const microbatch_id m = i == 0 ? seed : related();
    if (!is_moved_[m] && !is_frozen(m))
      touch(m);
  }
  take_out();
  if (fixed_routes_ && random_.below(2)) { // Which origin takes which of the given routes is free.
    for (std::uint32_t i = edit_.count; i > 1; --i)
      std::swap(state_.hop_at(edit_.touched[i - 1], 0),
                state_.hop_at(edit_.touched[random_.below(i)], 0));
  }
  return put_back();
}

/// Takes the touched microbatches out of the working calendars. What stays in may be delayed as long
/// as all is over now's seconds less up to `sooner` of them: room that nothing critical needs.
void search::take_out() {
  insertion_.begin();
  for (std::uint32_t i = 0; i < edit_.count; ++i)
    insertion_.remove(edit_.touched[i]);
  const double now = state_.value.seconds;
  insertion_.allow_delays(std::min(limit_, now) - sooner * random_.unit() * now);
}

/// Puts the microbatches that were taken out back, in random order, each on the best way, their
/// stages pooled. False when one finds no way.
bool search::put_back() {
  pool_.assign(problem_.stages, 0);
  for (std::uint32_t i = 0; i < edit_.count; ++i)
    for (std::uint32_t h = 1; h <= state_.hops(); ++h)
      ++pool_[state_.stage_of[state_.hop_at(edit_.touched[i], h)]];
  // An odd visit may move to another stage.
  if (!fixed_routes_ && problem_.stages > 2 && random_.below(4) == 0) {
    const stage_id a = 1 + random_.below(problem_.stages - 1);
    const stage_id b = 1 + random_.below(problem_.stages - 1);
    if (pool_[a] > 0 && pool_[b] < edit_.count && state_.visits[a] > state_.visits[b]) {
      --pool_[a];
      ++pool_[b];
    }
  }
  std::uint32_t turn[edit::most];
  for (std::uint32_t i = 0; i < edit_.count; ++i)
    turn[i] = i;
  for (std::uint32_t i = edit_.count; i > 1; --i)
    std::swap(turn[i - 1], turn[random_.below(i)]);
  // Many fit better when they come in about the order that they had.
  if (edit_.count > few) {
    double key[edit::most];
    for (std::uint32_t i = 0; i < edit_.count; ++i)
      key[i] = state_.start[state_.first_task(edit_.touched[i])]
               + 0.2 * random_.unit() * state_.value.seconds;
    std::sort(turn, turn + edit_.count,
              [&](std::uint32_t a, std::uint32_t b) { return key[a] < key[b]; });
  }
  for (std::uint32_t i = 0; i < edit_.count; ++i) {
    const microbatch_id m = edit_.touched[turn[i]];
    path_insertion::choice c;
    c.limit = limit_;
    if (fixed_routes_) {
      route_.clear();
      for (std::uint32_t h = 1; h <= state_.hops(); ++h)
        route_.push_back(state_.stage_of[state_.hop_at(m, h)]);
      c.route = route_.data();
    }
    for (stage_id s = 1; s < problem_.stages && !fixed_routes_; ++s) {
      if (pool_[s] > 0)
        c.allowed |= std::uint64_t{1} << s;
      if (pool_[s] == edit_.count - i)
        c.required |= std::uint64_t{1} << s;
    }
    const double soonest = random_.unit() < 0.7 ? state_.start[state_.first_task(m)] : 0;
    const auto* way = insertion_.find(state_.hop_at(m, 0), soonest, c, random_);
    if (way == nullptr) {
      undo();
      return false;
    }
    for (std::uint32_t h = 1; h <= state_.hops(); ++h) {
      --state_.visits[state_.stage_of[state_.hop_at(m, h)]];
      const stage_id s = state_.stage_of[way->hops[h]];
      ++state_.visits[s];
      --pool_[s];
      state_.hop_at(m, h) = way->hops[h];
    }
    std::copy(way->turn.begin(), way->turn.end(), &wanted_[state_.first_task(m)]);
    state_.refresh(m);
    insertion_.insert(m, *way);
  }
  return true;
}

} // namespace skippipe::scheduler
