#include "runtime/trace/event_line.hpp"

#include <algorithm>
#include <cstdio>

namespace skippipe::runtime {

using trace::event_kind;

namespace {

std::string task_of(const trace::event& e) {
  std::string out(trace::to_string(e.task));
  return e.stage == trace::no_stage ? out : out + " of stage " + std::to_string(e.stage);
}

std::string bytes_of(const trace::event& e) {
  return e.bytes == 0 ? "" : ", " + std::to_string(e.bytes) + " bytes";
}

/// What happened, without where and to which microbatch.
std::string deed_of(const trace::event& e, const node_namer& name) {
  const auto peer = e.peer == trace::no_node ? std::string("the scheduler") : name(e.peer);
  const auto why = e.why == trace::reason::none ? "" : " (" + std::string(to_string(e.why)) + ")";
  switch (e.kind) {
    case event_kind::iteration_started:
      return "attempt " + std::to_string(e.attempt) + " started";
    case event_kind::plan_received:
      return "plan " + std::to_string(e.plan) + " received";
    case event_kind::planned:
    case event_kind::queued:
    case event_kind::started:
    case event_kind::computed:
      return task_of(e) + " " + std::string(to_string(e.kind));
    case event_kind::sent:
      return "sent to " + peer + " for its " + std::string(trace::to_string(e.task)) + bytes_of(e);
    case event_kind::received:
      return "received from " + peer + " for " + task_of(e) + bytes_of(e);
    case event_kind::freed:
      return "slot free again";
    case event_kind::credit_granted:
      return "credit granted to " + peer;
    case event_kind::credit_received:
      return "credit received from " + peer;
    case event_kind::reduce_started:
      return "reduction started";
    case event_kind::reduce_sent:
      return "gradients sent to " + peer + bytes_of(e);
    case event_kind::reduce_received:
      return "gradients received from " + peer + bytes_of(e);
    case event_kind::norms_reported:
      return "norms reported";
    case event_kind::commit_sent:
      return "commit sent";
    case event_kind::commit_received:
      return "commit received";
    case event_kind::step_started:
      return "step started";
    case event_kind::step_done:
      return "step done";
    case event_kind::snapshot_started:
      return "snapshot started";
    case event_kind::snapshot_done:
      return "snapshot done" + bytes_of(e);
    case event_kind::dropped:
      return "a message was dropped" + why;
    case event_kind::lost:
      return "a transfer to " + peer + " was lost" + why;
    case event_kind::peer_lost:
      return peer + " is lost" + why;
    default:
      return std::string(to_string(e.kind));
  }
}

} // namespace

std::string event_text(const trace::event& e, const node_namer& name, std::int64_t begin_ns) {
  char at[40];
  std::snprintf(at, sizeof at, "%12.6f  ", static_cast<double>(e.time_ns - begin_ns) / 1e9);
  auto who = name(e.node);
  who.resize(std::max<std::size_t>(who.size(), 10), ' ');
  std::string what;
  if (e.iteration != 0)
    what = (e.evaluation != 0 ? "evaluation " : "iteration ") + std::to_string(e.iteration);
  if (e.microbatch != trace::no_microbatch)
    what += (what.empty() ? "" : ", ") + ("microbatch " + std::to_string(e.microbatch));
  return at + who + "  " + what + (what.empty() ? "" : ": ") + deed_of(e, name);
}

nlohmann::ordered_json event_json(const trace::event& e, const node_namer& name) {
  nlohmann::ordered_json out{
      {"time_ns", e.time_ns}, {"node", name(e.node)}, {"event", to_string(e.kind)}};
  if (e.iteration != 0)
    out[e.evaluation != 0 ? "evaluation" : "iteration"] = e.iteration;
  if (e.microbatch != trace::no_microbatch) {
    out["microbatch"] = e.microbatch;
    out["task"] = trace::to_string(e.task);
    out["step"] = e.step;
  }
  if (e.iteration != 0)
    out["attempt"] = e.attempt;
  if (e.stage != trace::no_stage)
    out["stage"] = e.stage;
  if (e.peer != trace::no_node)
    out["peer"] = name(e.peer);
  if (e.transfer != 0)
    out["transfer"] = e.transfer;
  if (e.bytes != 0)
    out["bytes"] = e.bytes;
  if (e.plan != 0)
    out["plan"] = e.plan;
  if (e.why != trace::reason::none)
    out["why"] = to_string(e.why);
  return out;
}

} // namespace skippipe::runtime
