// Why an iteration took as long as it did: every node's time, the critical path, advice.
#pragma once

#include "runtime/trace/critical_path.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace skippipe::runtime {

/// What a node's time went to; idle time is named after what its next task was waiting for.
enum class share : std::uint8_t {
  compute,     ///< Tasks of the attempts that counted, and the optimizer.
  wait_link,   ///< The next task's microbatch was on a link.
  memory_full, ///< It waited for a slot, here or further up its path.
  collision,   ///< It waited for a node that ran another task.
  reduction,   ///< Gradients moved between the stage's replicas, or waited for the slowest.
  commit,      ///< From reduced gradients to the commit's arrival.
  idle,        ///< Its microbatch was being computed elsewhere, or nothing was left to do.
  recovery,    ///< Work of attempts that were given up, and waiting for it.
};
inline constexpr std::size_t shares = 8;
std::string_view to_string(share s);

struct node_time {
  node_id node = 0;
  stage_id stage = trace::no_stage;
  std::array<double, shares> seconds{}; ///< Sum: the iteration's time.
  double of(share s) const { return seconds[static_cast<std::size_t>(s)]; }
};

struct explanation {
  iteration_no iteration = 0;
  std::int64_t begin_ns = 0;
  double makespan_s = 0; ///< From the iteration's start to its last step.
  std::vector<critical_step> path;
  std::vector<node_time> nodes; ///< That ran tasks, by id.
  std::vector<std::string> advice;
};

/// `view` must hold events.
explanation explain(const run_trace& run, const iteration_view& view);

std::string explain_text(const run_trace& run, const explanation& x);
nlohmann::ordered_json explain_json(const run_trace& run, const explanation& x);

} // namespace skippipe::runtime
