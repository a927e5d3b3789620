// Each plan that a run used, with its planned times, as RUN/plans/VERSION.json.
#pragma once

#include "scheduler/plan.hpp"
#include "scheduler/simulator.hpp"

#include <filesystem>
#include <system_error>
#include <vector>

namespace skippipe::trace {

/// Seconds from the iteration's start, by the simulator that made the plan.
struct task_times {
  double start_s = 0;
  double end_s = 0;
  friend bool operator==(const task_times&, const task_times&) = default;
};

/// `times[n][i]` belongs to `plan.order[n][i]`. Empty: the plan has no times.
struct plan_record {
  scheduler::plan plan;
  std::vector<std::vector<task_times>> times;
};

/// The simulator's times in the shape of `plan.order`; empty when it gave none.
std::vector<std::vector<task_times>> times_of(const scheduler::plan& plan,
                                              const scheduler::simulation& timing);

/// Plans of a long run are bounded: writing version V removes V - plans_kept.
inline constexpr plan_version plans_kept = 10'000;

std::filesystem::path plan_path(const std::filesystem::path& run_dir, plan_version version);

/// Writes the record beside its final name and renames it, so that a reader finds all or nothing.
/// Creates RUN/plans. Times of another shape than the order, or not finite, are refused.
std::error_code write_plan_record(const std::filesystem::path& run_dir, const scheduler::plan& plan,
                                  const std::vector<std::vector<task_times>>& times);

} // namespace skippipe::trace
