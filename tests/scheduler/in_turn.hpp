// The order of a solution in which one microbatch asks for other times.
#pragma once

#include "scheduler/search_state.hpp"

#include <vector>

namespace skippipe::scheduler::testing {

/// The committed sequence of `state` with the tasks of `m` where their `wanted` starts (per task, in
/// seconds, not falling along the path) put them.
inline std::vector<search_state::task> in_turn(const search_state& state, microbatch_id m,
                                               const std::vector<double>& wanted) {
  std::vector<search_state::task> order;
  search_state::task next = state.first_task(m);
  const search_state::task end = next + state.steps();
  for (const auto t : state.sequence) {
    if (t / state.width() == m)
      continue;
    while (next < end && wanted[next] <= state.start[t])
      order.push_back(next++);
    order.push_back(t);
  }
  while (next < end)
    order.push_back(next++);
  return order;
}

} // namespace skippipe::scheduler::testing
