// What of a running plan still stands after nodes changed.
#pragma once

#include "scheduler/planner.hpp"
#include "scheduler/random.hpp"
#include "scheduler/replan.hpp"

#include <optional>
#include <vector>

namespace skippipe::scheduler {

/// A path of the running plan under the new ids; nodes that are gone are marked.
struct kept_path {
  path way;
  double start_s = 0; ///< In the running plan.
  bool frozen = false, broken = false, changed = false;
};

/// Stage of every node: as it was where it still fits, the rest filled where nodes are missing.
std::vector<std::vector<node_id>> keep_arrangement(const instance& problem,
                                                   const replan_request& request);

/// A share of the microbatches for every origin; drops paths and adds some as needed. False when there is
/// nothing to add.
bool share_out(const instance& problem, const std::vector<std::vector<node_id>>& arrangement,
               std::vector<kept_path>& paths, random_source& random);

/// Exchanges stages in paths that may change until stages 1.. are visited equally often (R3); false when
/// that cannot be.
bool rebalance(const instance& problem, const std::vector<std::vector<node_id>>& arrangement,
               std::vector<kept_path>& paths);

/// Whether these are the microbatches of the instance, each on the route that is given for it (R12).
bool follow_routes(const instance& problem, const std::vector<kept_path>& paths);

/// Whether those in flight already exceed an origin's memory (R4): only origins hold a microbatch for as
/// long as it is in flight.
std::optional<infeasible> check_frozen(const instance& problem,
                                       const std::vector<kept_path>& paths);

} // namespace skippipe::scheduler
