// The trace of a whole run: every node's events on one clock.
#pragma once

#include "actors/trace/file.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace skippipe::runtime {

struct run_trace {
  std::filesystem::path dir;
  std::string title;                    ///< What messages call it where that is not its folder.
  std::map<node_id, std::string> names; ///< Of the nodes that wrote a trace.
  /// Sorted by time on the scheduler's clock; of an iteration that was repeated after a resume
  /// only the last repetition.
  std::vector<trace::event> events;
  /// Largest of the nodes' clock uncertainties; two nodes' times may differ by twice this.
  std::int64_t clock_uncertainty_ns = 0;
  std::vector<std::string> warnings; ///< What is missing or damaged, one line each.
  bool chosen = false;               ///< As trace_source says.

  /// The node's name, "node 7" where it is not known, "scheduler" for the scheduler's address.
  std::string name(node_id node) const;
};

/// The run, or one line that says why it cannot be read.
using run_trace_result = std::variant<run_trace, std::string>;

/// Reads RUN/trace/*.trace. Damage is a warning as long as something can be read.
run_trace_result load_run_trace(const std::filesystem::path& run_dir,
                                const trace::event_filter& filter = {});

/// The run under `runs` whose trace was written last, or a line that says that there is none.
std::variant<std::filesystem::path, std::string>
newest_run(const std::filesystem::path& runs = "runs");

/// Sorted numbers as ranges: "1..4, 7". After `most` ranges it ends with "and N more".
std::string ranges_text(const std::vector<std::uint64_t>& numbers, std::size_t most = 8);

/// Iterations that the events tell of, sorted; iteration 0 is none.
std::vector<std::uint64_t> iterations_of(const run_trace& run);

/// "iteration 9 is not in the trace of DIR: it holds iterations 1..4". Of a run with a title only some
/// iterations may be at hand: the line then ends before the colon.
std::string missing_iteration(const run_trace& run, iteration_no iteration);

} // namespace skippipe::runtime
