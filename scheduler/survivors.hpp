// The planning problem that is left when nodes of a running plan are gone.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/plan.hpp"

#include <set>
#include <vector>

namespace skippipe::scheduler {

/// A smaller instance: the survivors stay at their stages, the microbatches and their routes are those
/// of the running plan, and those of a lost origin go to the others (R5, R12).
struct survivors {
  instance problem;
  std::vector<node_id> old_id; ///< By the new one.
};

/// Every stage of `running` must keep a node.
survivors without_nodes(const instance& problem, const plan& running,
                        const std::set<node_id>& gone);

/// A plan of the smaller instance in the old node ids; `nodes` of them, the orders of the gone empty.
plan in_old_ids(const survivors& left, const plan& small, std::size_t nodes);

} // namespace skippipe::scheduler
