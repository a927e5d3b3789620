// The planning problem that is left when nodes of a running plan are gone.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/plan.hpp"
#include "scheduler/planner.hpp"

#include <set>
#include <vector>

namespace skippipe::scheduler {

/// A smaller instance: the survivors stay at their stages, the microbatches and their routes are those
/// of the running plan, and those of a lost origin go to the others (R5, R12).
struct survivors {
  instance problem;
  std::vector<node_id> old_id; ///< By the new one.
  std::vector<node_id> new_id; ///< By the old one, as in replan_request.
};

/// Every stage of `running` must keep a node.
survivors without_nodes(const instance& problem, const plan& running,
                        const std::set<node_id>& gone);

/// A plan of the smaller instance in the old node ids; `nodes` of them, the orders of the gone empty.
plan in_old_ids(const survivors& left, const plan& small, std::size_t nodes);

/// Another plan than `running`, in its node ids, for the nodes that are left, which keep their stages; `problem`
/// may have other costs than it was made for. As many microbatches; their routes stay where the problem gives
/// them (R12), where they are full and where no others exist. The searching strategies start from what runs
/// and take `options.time_limit_s`.
plan_result plan_again(const instance& problem, const plan& running, const std::set<node_id>& gone,
                       const planner_options& options);

} // namespace skippipe::scheduler
