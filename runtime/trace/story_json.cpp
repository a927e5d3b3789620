#include "runtime/trace/story.hpp"

namespace skippipe::runtime {

using nlohmann::ordered_json;

namespace {

ordered_json or_null(const std::optional<double>& value) {
  return value ? ordered_json(*value) : ordered_json();
}

ordered_json hop_json(const run_trace& run, const story& s, const hop_story& hop) {
  auto at = [&](const time_point& when) {
    return when ? ordered_json(static_cast<double>(*when - s.begin_ns) / 1e9) : ordered_json();
  };
  const auto& t = hop.task;
  ordered_json waited = ordered_json::object();
  for (std::size_t a = 1; a < activities; ++a)
    waited[std::string(to_string(static_cast<activity>(a))) + "_s"] = hop.seconds[a];
  return {{"stage", t.stage == trace::no_stage ? ordered_json() : ordered_json(t.stage)},
          {"node", run.name(t.node)},
          {"task", trace::to_string(t.kind)},
          {"planned_start_s", hop.planned ? ordered_json(hop.planned->start_s) : ordered_json()},
          {"planned_end_s", hop.planned ? ordered_json(hop.planned->end_s) : ordered_json()},
          {"received_s", at(t.received)},
          {"queued_s", at(t.queued)},
          {"started_s", at(t.started)},
          {"computed_s", at(t.computed)},
          {"sent_s", at(t.sent)},
          {"to", t.to == trace::no_node ? ordered_json() : ordered_json(run.name(t.to))},
          {"bytes", t.bytes_out},
          {"waited", waited}};
}

} // namespace

ordered_json story_json(const run_trace& run, const story& s) {
  ordered_json hops = ordered_json::array();
  for (const auto& hop : s.hops)
    hops.push_back(hop_json(run, s, hop));
  ordered_json stages = ordered_json::array();
  for (const auto& stage : s.stages)
    stages.push_back(
        {{"stage", stage.stage == trace::no_stage ? ordered_json() : ordered_json(stage.stage)},
         {"node", run.name(stage.node)},
         {"freed_s", or_null(stage.freed_s)},
         {"reduce_started_s", or_null(stage.reduce_started_s)},
         {"reduced_s", or_null(stage.reduced_s)},
         {"reduce_bytes_sent", stage.reduced_bytes},
         {"committed_s", or_null(stage.committed_s)},
         {"step_done_s", or_null(stage.stepped_s)}});
  ordered_json drops = ordered_json::array();
  for (const auto& drop : s.drops)
    drops.push_back({{"at_s", drop.at_s},
                     {"node", run.name(drop.node)},
                     {"attempt", drop.attempt},
                     {"event", drop.lost ? "lost" : "dropped"},
                     {"reason", trace::to_string(drop.why)}});
  return {{"iteration", s.iteration},
          {"microbatch", s.microbatch},
          {"attempt", s.attempt},
          {"attempts", s.attempts},
          {"plan", s.plan ? ordered_json(*s.plan) : ordered_json()},
          {"strategy", s.strategy},
          {"hops", hops},
          {"stages", stages},
          {"dropped", drops},
          {"stuck", s.stuck.empty() ? ordered_json() : ordered_json(s.stuck)}};
}

} // namespace skippipe::runtime
