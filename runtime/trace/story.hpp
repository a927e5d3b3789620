// The story of one microbatch: what was planned, what happened, what it waited for.
#pragma once

#include "runtime/trace/iteration_view.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>

namespace skippipe::runtime {

/// Seconds count from the start of the microbatch's attempt.
struct hop_story {
  task_run task;
  std::optional<trace::task_times> planned;
  std::array<double, activities> seconds{}; ///< Per activity, until the task's end.
};

struct stage_story {
  stage_id stage = 0;
  node_id node = 0;
  std::optional<double> freed_s;
  std::optional<double> reduce_started_s, reduced_s;
  std::uint64_t reduced_bytes = 0; ///< Sent by this node for the reduction.
  std::optional<double> committed_s, stepped_s;
};

struct drop_story {
  double at_s = 0;
  node_id node = 0;
  attempt_no attempt = 0;
  bool lost = false; ///< On its way; else refused by `node`.
  trace::reason why = trace::reason::none;
};

struct story {
  iteration_no iteration = 0;
  microbatch_id microbatch = 0;
  attempt_no attempt = 0;   ///< The latest, which is told.
  std::size_t attempts = 1; ///< How many left events.
  std::optional<plan_version> plan;
  std::string strategy;
  std::int64_t begin_ns = 0;
  std::vector<hop_story> hops;
  std::vector<stage_story> stages; ///< Of the hops, by stage: what came after the last backward.
  std::vector<drop_story> drops;   ///< Of any attempt.
  /// Empty when it is committed; else where the microbatch was last seen.
  std::string stuck;
};

/// The story, or one line naming the iterations or microbatches that there are.
std::variant<story, std::string> tell_story(const run_trace& run, const iteration_view& view,
                                            microbatch_id microbatch);

/// A table for people, one line per hop, then what followed.
std::string story_text(const run_trace& run, const story& s);
nlohmann::ordered_json story_json(const run_trace& run, const story& s);

} // namespace skippipe::runtime
