// What the planning commands share.
#pragma once

#include "scheduler/bounds.hpp"
#include "scheduler/instance.hpp"
#include "scheduler/json_reader.hpp"
#include "scheduler/plan.hpp"
#include "scheduler/planner.hpp"

#include <string>
#include <vector>

namespace skippipe::runtime {

struct named_strategy {
  const char* name;
  scheduler::strategy kind;
};

inline constexpr named_strategy strategies[] = {{"full", scheduler::strategy::full},
                                                {"random", scheduler::strategy::random},
                                                {"no-collision", scheduler::strategy::no_collision},
                                                {"cbs", scheduler::strategy::cbs},
                                                {"skippipe", scheduler::strategy::skippipe}};

/// Reason and nearest setting to stderr, and to stdout as JSON; returns the exit code.
int report_infeasible(const scheduler::infeasible& why, bool json);

/// Below which no plan of that strategy can be: a full pipeline visits every stage, the others
/// as many as the instance says.
scheduler::lower_bounds bounds_of(const scheduler::instance& problem, scheduler::strategy kind);

/// How far a makespan is above its bound, as a share; rounding puts it a hair below.
inline double gap_of(double makespan_s, double bound_s) {
  const double gap = bound_s > 0 ? makespan_s / bound_s - 1 : 0;
  return gap < 0 && gap > -1e-9 ? 0 : gap;
}

std::string joined(const std::vector<std::string>& lines);

/// Before what takes long: throws command_error where `file` could not be written.
void expect_writable(const std::string& file);

/// Writes a file whole; a command_error when that fails.
void write_text(const std::string& file, const std::string& text);

} // namespace skippipe::runtime
