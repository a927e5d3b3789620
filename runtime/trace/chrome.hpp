// A run as Chrome trace JSON, for chrome://tracing and Perfetto.
#pragma once

#include "runtime/trace/run_trace.hpp"

#include <iosfwd>

namespace skippipe::runtime {

struct chrome_summary {
  std::size_t slices = 0;
  std::size_t transfers = 0; ///< Each one flow: a pair of "s" and "f".
  std::size_t lost = 0;      ///< Transfers whose flow ends at a slice named `lost`.
};

/// Writes {"traceEvents":[...]}: a process per node with threads for compute, send, receive, reduce
/// and control; times in microseconds from the first event. Transfers that overlap on a thread
/// take further threads of the same name ("send 2"), because slices of one thread must nest.
chrome_summary write_chrome_trace(const run_trace& run, std::ostream& out);

} // namespace skippipe::runtime
