// A run as Chrome trace JSON, for chrome://tracing and Perfetto.
#pragma once

#include "runtime/trace/run_trace.hpp"

#include <cstdint>
#include <iosfwd>
#include <limits>

namespace skippipe::runtime {

struct chrome_summary {
  std::size_t slices = 0;
  std::size_t transfers = 0; ///< Each one flow: a pair of "s" and "f".
  std::size_t lost = 0;      ///< Transfers whose flow ends at a slice named `lost`.
  std::size_t under_way = 0; ///< And at one named `under way`: of a run that goes on.
};

/// Writes {"traceEvents":[...]}: a process per node with threads for compute, send, receive, reduce
/// and control; times in microseconds from the first event. Transfers that overlap on a thread
/// take further threads of the same name ("send 2"), because slices of one thread must nest.
/// A transfer without an end is lost once the run is over, or has gone on to a later iteration or attempt.
/// It is taken to be over when nothing has happened for ten seconds before `now_ns`, by default for ever.
chrome_summary write_chrome_trace(const run_trace& run, std::ostream& out,
                                  std::int64_t now_ns = std::numeric_limits<std::int64_t>::max());

} // namespace skippipe::runtime
