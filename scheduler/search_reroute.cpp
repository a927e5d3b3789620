// The moves that change ways and leave nearly all calendars as they are.
#include "scheduler/search.hpp"

#include <algorithm>

namespace skippipe::scheduler {

/// A microbatch that works on `n` at about `when`; nobody when nothing is done there.
microbatch_id search::neighbour(node_id n, double when) {
  const auto& calendar = state_.calendar(n);
  if (calendar.empty())
    return nobody;
  const auto at = static_cast<std::uint32_t>(
      std::lower_bound(calendar.begin(), calendar.end(), when,
                       [](const search_state::busy& b, double t) { return b.start < t; })
      - calendar.begin());
  const std::uint32_t from = at > 2 ? at - 2 : 0;
  const auto last = static_cast<std::uint32_t>(calendar.size()) - 1;
  return calendar[std::min(from + random_.below(5), last)].owner;
}

bool search::keeps_rules(microbatch_id m) const {
  route_state rules;
  std::uint64_t seen = 0;
  for (std::uint32_t h = 1; h <= state_.hops(); ++h) {
    const stage_id s = state_.stage_of[state_.hop_at(m, h)];
    if ((seen >> s & 1) != 0 || !rules.visit(s, problem_.limits))
      return false;
    seen |= std::uint64_t{1} << s;
  }
  return true;
}

/// Touches `m` and asks for the times that it has.
void search::touch_in_turn(microbatch_id m) {
  touch(m);
  std::copy_n(&state_.start[state_.first_task(m)], state_.steps(), &wanted_[state_.first_task(m)]);
}

/// One microbatch goes to a peer of one of its nodes, or two trade nodes, ways or turns. Where slots are
/// scarce there are few gaps through which a new way could be found.
bool search::reroute() {
  const microbatch_id m = random_.below(state_.microbatches());
  const std::uint32_t h = 1 + random_.below(state_.hops());
  const node_id from = state_.hop_at(m, h);
  const auto& peers = state_.nodes_of[state_.stage_of[from]];
  const node_id to = peers[random_.below(static_cast<std::uint32_t>(peers.size()))];
  const std::uint32_t kind = random_.below(4);
  if (kind < 2 && to == from)
    return false;
  if (kind == 0) {
    touch_in_turn(m);
    state_.hop_at(m, h) = to;
    state_.refresh(m);
    return true;
  }
  const microbatch_id other = neighbour(to, state_.start[state_.first_task(m) + h]);
  if (other == nobody || other == m)
    return false;
  std::uint32_t k = 0; // Where the other one meets that node; 0: its origin.
  while (k <= state_.hops() && state_.hop_at(other, k) != to)
    ++k;
  if (k == 0 || k > state_.hops() || (kind == 2 && k != h))
    return false;
  touch_in_turn(m);
  touch_in_turn(other);
  const bool turns = kind == 3 || random_.below(2) != 0; // Also who comes when.
  const task mine = state_.first_task(m), theirs = state_.first_task(other);
  const auto trade_turns = [&](std::uint32_t i, std::uint32_t j) {
    std::swap(wanted_[mine + i], wanted_[theirs + j]);
  };
  const auto trade = [&](std::uint32_t i, std::uint32_t j) {
    const std::uint32_t back = state_.steps() - 1;
    std::swap(state_.hop_at(m, i), state_.hop_at(other, j));
    if (turns) {
      trade_turns(i, j);
      trade_turns(back - i, back - j);
    }
  };
  if (kind == 1) {
    trade(h, k);
  } else if (kind == 2) { // The rest of their ways.
    const auto stage = [&](microbatch_id x, std::uint32_t i) {
      return state_.stage_of[state_.hop_at(x, i)];
    };
    bool same = true;
    for (std::uint32_t i = h; i <= state_.hops(); ++i) {
      same &= stage(m, i) == stage(other, i);
      trade(i, i);
    }
    if (!same && (fixed_routes_ || !keeps_rules(m) || !keeps_rules(other))) {
      undo();
      return false;
    }
  } else {
    for (std::uint32_t i = 0; i < state_.steps(); ++i)
      trade_turns(i, i);
  }
  for (const task first : {mine, theirs}) // A step comes after the one before it.
    for (std::uint32_t i = 1; i < state_.steps(); ++i)
      wanted_[first + i] = std::max(wanted_[first + i], wanted_[first + i - 1]);
  state_.refresh(m);
  state_.refresh(other);
  return true;
}

} // namespace skippipe::scheduler
