// What a trace holds: a line per iteration, or per microbatch of one.
#pragma once

#include "runtime/trace/iteration_view.hpp"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace skippipe::runtime {

struct iteration_line {
  iteration_no iteration = 0;
  double seconds = 0; ///< From its start to its last step, else to its last event.
  std::size_t microbatches = 0;
  attempt_no replays = 0;
  std::uint64_t transfers = 0;
  std::uint64_t bytes = 0; ///< Sent, gradients of reductions included.
  std::uint64_t dropped = 0;
  std::uint64_t lost = 0;
  bool committed = false;
};

/// Sorted by iteration.
std::vector<iteration_line> summarize(const run_trace& run);
std::string summary_text(const std::vector<iteration_line>& lines);
nlohmann::ordered_json summary_json(const std::vector<iteration_line>& lines);

struct microbatch_line {
  microbatch_id microbatch = 0;
  std::string route;  ///< "o1 a1 b1": the nodes of its forwards.
  double seconds = 0; ///< From its attempt's start to its last task's end.
  std::array<double, activities> spent{};
  std::size_t tasks_done = 0;
  std::size_t tasks = 0; ///< Known of: planned, or at least begun.
};

std::vector<microbatch_line> summarize(const run_trace& run, const iteration_view& view);
std::string summary_text(const iteration_view& view, const std::vector<microbatch_line>& lines);
nlohmann::ordered_json summary_json(const iteration_view& view,
                                    const std::vector<microbatch_line>& lines);

} // namespace skippipe::runtime
