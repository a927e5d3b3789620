// What an iteration has not got done, and where each of its microbatches was last seen.
#pragma once

#include "runtime/trace/iteration_view.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace skippipe::runtime {

struct stuck_microbatch {
  microbatch_id microbatch = 0;
  std::string where;
  double quiet_s = 0; ///< Since its last event, by the trace's newest event.
};

/// Those not committed, by number.
std::vector<stuck_microbatch> find_stuck(const run_trace& run, const iteration_view& view);
std::string stuck_text(const iteration_view& view, const std::vector<stuck_microbatch>& found);
nlohmann::ordered_json stuck_json(const iteration_view& view,
                                  const std::vector<stuck_microbatch>& found);

} // namespace skippipe::runtime
