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
  double quiet_s = 0; ///< Since its last event.
};

struct stuck_report {
  std::vector<stuck_microbatch> found; ///< By number.
  std::size_t under_way = 0; ///< Not committed either, but quiet for no longer than is normal.
  double limit_s = 0;        ///< Who is quiet for longer is stuck.
};

/// The limit is three times the longest quiet of any microbatch in the iteration before (`before`; without
/// one in `view` itself), and two seconds at least, as events are written with a delay. `now_ns` is on
/// the scheduler's clock.
stuck_report find_stuck(const run_trace& run, const iteration_view& view,
                        const iteration_view* before, std::int64_t now_ns);
std::string stuck_text(const iteration_view& view, const stuck_report& report);
nlohmann::ordered_json stuck_json(const iteration_view& view, const stuck_report& report);

} // namespace skippipe::runtime
