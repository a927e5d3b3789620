// What `skippipe trace` does, apart from reading its command line.
#pragma once

#include "actors/trace/file.hpp"
#include "scheduler/ids.hpp"

#include <filesystem>
#include <iosfwd>
#include <optional>
#include <string>

namespace skippipe::runtime {

/// Exit codes are the program's: 0 success, 1 failure, 2 usage. Results go to `out`, warnings and
/// the one line of an error to `err`.
struct trace_streams {
  std::ostream& out;
  std::ostream& err;
};

/// An empty folder stands for the newest run under runs/.
struct trace_source {
  std::filesystem::path run_dir;
  bool json = false;
  std::string title;   ///< What messages call the run; empty: its folder.
  bool chosen = false; ///< By us: nobody has named the run, so it is said which one it is.
};

struct trace_selection {
  std::optional<iteration_no> iteration;
  std::optional<microbatch_id> microbatch; ///< Needs an iteration.
};
/// Tells the story of a microbatch; without one lists those of the iteration; without that the
/// iterations.
int trace_show(const trace_source& source, const trace_selection& selection, trace_streams streams);
/// Says where the time of an iteration went.
int trace_explain(const trace_source& source, iteration_no iteration, trace_streams streams);

/// Names the microbatches of an iteration (0: the newest) that are not committed, and where they were
/// last seen.
int trace_stuck(const trace_source& source, iteration_no iteration, trace_streams streams);

struct trace_export_options {
  std::string format = "chrome";
  std::filesystem::path out_file;
  std::string iterations; ///< "A..B", "A" or empty for all.
};
/// Nothing for `iterations` that are no range.
std::optional<trace::event_filter> filter_of(const trace_export_options& options);
/// Writes the trace for another program.
int trace_export(const trace_source& source, const trace_export_options& options,
                 trace_streams streams);

struct iteration_range {
  iteration_no first = 0;
  iteration_no last = 0;
};
/// "A..B" or "A", counted from 1; nothing for any other text.
std::optional<iteration_range> parse_iterations(const std::string& text);

} // namespace skippipe::runtime
