// The one interface of every path strategy.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/plan.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>

namespace skippipe::scheduler {

enum class strategy { full, random, no_collision, cbs, skippipe };

struct planner_options {
  strategy kind = strategy::skippipe;
  double time_limit_s = 1; ///< Wall seconds for anytime strategies; the others ignore it.
  std::uint64_t seed =
      0; ///< Same seed and instance: same plan (anytime ones: same best-first sequence).
  unsigned threads = 1;
  std::uint64_t max_iterations = 0; ///< When not 0, bounds the search besides the time: repeatable.
};

/// Seconds of planning that pay from a job's second iteration on: as many as an iteration takes at least, but
/// 1 at least and 10 at most. `time_scale`: seconds of the problem that a real one stands for.
double worthwhile_seconds(const instance& problem, double time_scale = 1);

/// Likewise while everyone waits for the plan: a fiftieth of an iteration, but a millisecond per node and 20 ms
/// at least, and 1 s at most.
double hurried_seconds(const instance& problem, const plan& running, double time_scale = 1);

/// Why no plan exists: the constraint with its numbers, and the nearest setting that would do.
struct infeasible {
  std::string reason;
  std::string nearest;
  std::function<void(instance&)> mend =
      {}; ///< Makes that setting; none where it takes more thought.
};

/// Why no plan exists; nothing when there is one. Takes no search: time in proportion to the microbatches.
std::optional<infeasible> find_obstacle(const instance& problem, strategy kind);

/// Why one of these strategies has no plan. `nearest` are all the settings after which each of them has one.
std::optional<infeasible> find_obstacle(const instance& problem, std::span<const strategy> kinds);

using plan_result = std::variant<plan, infeasible>;

/// A plan that satisfies R2-R4 and cannot deadlock, or the reason why there is none.
/// Thread-safe; runs on the calling thread (plus `threads` - 1 helpers).
plan_result make_plan(const instance& problem, const planner_options& options);

} // namespace skippipe::scheduler
