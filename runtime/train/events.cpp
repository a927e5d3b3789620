#include "runtime/train/events.hpp"

#include <limits>

namespace skippipe::runtime::events {

using nlohmann::json;

namespace {

/// JSON has no infinities: null stands for what is not finite.
double number(const json& event, const char* key) {
  const auto found = event.find(key);
  return found != event.end() && found->is_number() ? found->get<double>()
                                                    : std::numeric_limits<double>::quiet_NaN();
}

template <class T>
T whole(const json& event, const char* key) {
  const auto found = event.find(key);
  return found != event.end() && found->is_number_unsigned() ? found->get<T>() : T{};
}

std::string text(const json& event, const char* key) {
  const auto found = event.find(key);
  return found != event.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

bool flag(const json& event, const char* key) {
  const auto found = event.find(key);
  return found != event.end() && found->is_boolean() && found->get<bool>();
}

} // namespace

json submitted(const std::string& job) { return {{"event", "submitted"}, {"job", job}}; }

json data_received() { return {{"event", "data_received"}}; }

json started(const run_summary& run) {
  return {{"event", "started"},
          {"run_dir", run.run_dir},
          {"stages", run.stages},
          {"nodes", run.nodes},
          {"microbatches", run.microbatches},
          {"microbatch_size", run.microbatch_size},
          {"strategy", run.strategy},
          {"skipping", run.skipping},
          {"swapping", run.swapping},
          {"committed", run.committed},
          {"last", run.last},
          {"makespan_s", run.makespan_s},
          {"planned_iteration_s", run.planned_s},
          {"relay_share", run.relay_share},
          {"time_scale", run.time_scale}};
}

json iteration(const actors::iteration_report& report) {
  return {{"event", "iteration"},
          {"iteration", report.iteration},
          {"loss", report.loss},
          {"tokens_per_s",
           report.iteration_s > 0 ? static_cast<double>(report.tokens) / report.iteration_s : 0.0},
          {"iteration_s", report.iteration_s},
          {"plan_version", report.plan},
          {"microbatches", report.microbatches},
          {"skipped_stages", report.skipped_stages},
          {"swaps", report.swaps},
          {"skipped_microbatches", report.skipped_microbatches},
          {"swapped_microbatches", report.swapped_microbatches},
          {"tokens", report.tokens},
          {"grad_norm", report.grad_norm},
          {"clip_factor", report.clip_factor},
          {"skipped", report.skipped}};
}

json evaluation(const actors::evaluation_report& report) {
  if (report.what == "full")
    return {{"event", "eval"}, {"iteration", report.iteration}, {"val_loss", report.loss}};
  return {{"event", "eval_skipped"},
          {"iteration", report.iteration},
          {"what", report.what},
          {"loss", report.loss}};
}

json checkpoint(iteration_no iteration, const std::string& problem) {
  json event{{"event", "checkpoint"}, {"iteration", iteration}};
  if (!problem.empty())
    event["problem"] = problem;
  return event;
}

json sample(const std::string& prompt, const std::string& text) {
  return {{"event", "sample"}, {"prompt", prompt}, {"text", text}};
}

json note(const std::string& line) { return {{"event", "note"}, {"text", line}}; }

json done(iteration_no iterations, const std::string& checkpoint, bool stopped) {
  json event{{"event", "done"}, {"iterations", iterations}, {"checkpoint", checkpoint}};
  if (stopped)
    event["stopped"] = true;
  return event;
}

json failed(const std::string& reason) { return {{"event", "failed"}, {"reason", reason}}; }

bool is_last(const json& event) {
  const auto what = text(event, "event");
  return what == "done" || what == "failed";
}

void tell(const json& event, reporter& report) {
  const auto what = text(event, "event");
  if (what == "started") {
    run_summary run;
    run.run_dir = text(event, "run_dir");
    run.stages = whole<std::uint32_t>(event, "stages");
    run.nodes = whole<std::uint32_t>(event, "nodes");
    run.microbatches = whole<std::uint32_t>(event, "microbatches");
    run.microbatch_size = whole<std::uint32_t>(event, "microbatch_size");
    run.strategy = text(event, "strategy");
    run.skipping = whole<std::uint32_t>(event, "skipping");
    run.swapping = whole<std::uint32_t>(event, "swapping");
    run.committed = whole<iteration_no>(event, "committed");
    run.last = whole<iteration_no>(event, "last");
    run.makespan_s = number(event, "makespan_s");
    run.planned_s = number(event, "planned_iteration_s");
    run.relay_share = number(event, "relay_share");
    run.time_scale = number(event, "time_scale");
    report.started(run);
  } else if (what == "iteration") {
    actors::iteration_report x;
    x.iteration = whole<iteration_no>(event, "iteration");
    x.loss = number(event, "loss");
    x.tokens = whole<std::int64_t>(event, "tokens");
    x.iteration_s = number(event, "iteration_s");
    x.grad_norm = number(event, "grad_norm");
    x.clip_factor = number(event, "clip_factor");
    x.plan = whole<plan_version>(event, "plan_version");
    x.microbatches = whole<std::uint32_t>(event, "microbatches");
    x.skipped_stages = whole<std::uint32_t>(event, "skipped_stages");
    x.swaps = whole<std::uint32_t>(event, "swaps");
    x.skipped_microbatches = whole<std::uint32_t>(event, "skipped_microbatches");
    x.swapped_microbatches = whole<std::uint32_t>(event, "swapped_microbatches");
    x.skipped = flag(event, "skipped");
    report.iteration(x);
  } else if (what == "eval" || what == "eval_skipped") {
    const bool full = what == "eval";
    actors::evaluation_report x;
    x.iteration = whole<iteration_no>(event, "iteration");
    x.what = full ? "full" : text(event, "what");
    x.loss = number(event, full ? "val_loss" : "loss");
    report.evaluation(x);
  } else if (what == "checkpoint") {
    report.checkpoint(whole<iteration_no>(event, "iteration"), text(event, "problem"));
  } else if (what == "sample") {
    report.sample(text(event, "prompt"), text(event, "text"));
  } else if (what == "note") {
    report.note(text(event, "text"));
  } else if (what == "done") {
    if (flag(event, "stopped"))
      report.was_stopped();
    report.done(text(event, "checkpoint"));
  }
}

} // namespace skippipe::runtime::events
