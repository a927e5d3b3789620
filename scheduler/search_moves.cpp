// The moves that change order and roles.
#include "scheduler/search.hpp"

#include <algorithm>

namespace skippipe::scheduler {

/// Other times for one microbatch on the way that it has.
bool search::retime() {
  const microbatch_id m = random_.below(state_.microbatches());
  touch(m);
  place(m, false);
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
  if (sa != sb) {
    state_.regroup(sa);
    state_.regroup(sb);
  }
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
  // Mostly the present order is kept: that is cheap, and new ways for all that is affected, each only
  // as good as the others leave it, are seldom better at once.
  if (random_.below(20) == 0) {
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
  if (edit_.count > 0 && problem_.stages <= path_insertion::most_stages) {
    take_out();
    apply_roles(a, b);
    return put_back();
  }
  apply_roles(a, b);
  for (std::uint32_t i = 0; i < edit_.count; ++i)
    place(edit_.touched[i], true);
  return true;
}

/// What kept `t` from starting sooner: the task before it on its node or else its own previous step; none
/// for a first step that could start at once.
search::task search::held_up_by(task t) const {
  const auto& calendar = state_.calendar(state_.node_of(t));
  const std::uint32_t at = state_.index_of(t);
  const bool first_step = t % state_.width() == 1;
  const double arrival = first_step ? 0 : state_.end[t - 1] + state_.link_to(t);
  if (at > 0 && arrival < calendar[at - 1].end)
    return calendar[at - 1].id;
  return first_step ? none : t - 1;
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
  for (task u = held_up_by(t); u != none; u = held_up_by(t)) {
    if (u / state_.width() != t / state_.width() && random_.below(++seen) == 0) {
      before = u;
      after = t;
    }
    t = u;
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

} // namespace skippipe::scheduler
