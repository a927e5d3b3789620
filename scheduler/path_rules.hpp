// Rules of routes (R2, R3): checks, enumeration and balanced random draws.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/random.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace skippipe::scheduler {

/// The stages a microbatch visits after its origin, in visiting order; stage 0 is left out.
using route = std::vector<stage_id>;

/// What a route may look like.
struct route_rules {
  std::uint32_t stages = 1;
  std::uint32_t path_length = 1; ///< Counts stage 0.
  path_limits limits;
};

inline route_rules rules_of(const instance& problem) {
  return {problem.stages, problem.path_length, problem.limits};
}

/// The first rule of R2 that `r` breaks, with its numbers; nothing when it is feasible.
std::optional<std::string> route_problem(const route& r, const route_rules& rules);

/// The state of R2 along a partial route; extends it one visit at a time.
struct route_state {
  stage_id frontier = 0;
  std::uint32_t swaps = 0;
  std::uint32_t total_distance = 0;

  /// False, and unchanged, when the limits forbid `next` here. Repeats are the caller's to avoid.
  bool visit(stage_id next, const path_limits& limits);
};

/// Whether the limits of R2 (lengths and repeats aside) hold for `r`.
bool keeps_limits(const route& r, const path_limits& limits);

/// Calls `seen` with every feasible route in lexicographic order until it returns false.
void enumerate_routes(const route_rules& rules, const std::function<bool(const route&)>& seen);

/// Number of feasible routes; stops counting at `limit`.
std::uint64_t count_routes(const route_rules& rules, std::uint64_t limit);

/// All stages in order.
route full_route(std::uint32_t stages);

/// A random feasible order of the given stages (sorted, distinct); the set must be feasible in order.
route random_order(const std::vector<stage_id>& sorted, const path_limits& limits,
                   random_source& random);

/// `count` random feasible routes whose visits of stages 1..S-1 differ by at most one (R3).
/// Nothing when the limits exclude that; see route_infeasibility for the words.
std::optional<std::vector<route>> balanced_routes(const route_rules& rules, std::uint32_t count,
                                                  random_source& random);

/// Why no balanced set of `count` routes exists, and the nearest setting that would do.
struct route_conflict {
  std::string reason;
  std::string nearest;
  std::function<void(instance&)> mend; ///< Makes that setting.
};
std::optional<route_conflict> route_infeasibility(const route_rules& rules, std::uint32_t count);

/// Routes of microbatches 0..count-1: a function of the arguments only, equal on every platform
/// (R12a), balanced within one (R3). A full path length gives all stages in order. Empty when
/// `count` is 0 or the rules cannot be met.
std::vector<route> deterministic_routes(std::uint32_t stages, std::uint32_t path_length,
                                        const path_limits& limits, std::uint32_t microbatch_count,
                                        std::uint64_t seed);

} // namespace skippipe::scheduler
