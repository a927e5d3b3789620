// The rules and the clock once more, written from their definitions alone: slow, and sharing nothing with
// what they judge but the types.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/plan.hpp"

#include <optional>
#include <string>
#include <vector>

namespace skippipe::scheduler::testing {

/// One task of an independent timing.
struct timed_task {
  std::size_t path = 0; ///< Index in the paths.
  node_id node = 0;
  task_kind kind = task_kind::forward;
  double start = 0, end = 0;
};

/// Every task of `p` at the earliest time that the order, the links and the memory allow; nothing when some
/// task waits for itself. The least solution of "starts no sooner than", found by trying again until
/// nothing changes. Tasks come path by path in the sequence of their steps.
std::optional<std::vector<timed_task>> slow_simulation(const instance& problem, const plan& p);

/// The first rule of R2, R3 or R4 that `p` breaks; empty when there is none. `times` are those of
/// slow_simulation.
std::string broken_rule(const instance& problem, const plan& p,
                        const std::vector<timed_task>& times);

/// The part of broken_rule that needs no clock: R2 and R3.
std::string broken_path_rule(const instance& problem, const plan& p);

} // namespace skippipe::scheduler::testing
