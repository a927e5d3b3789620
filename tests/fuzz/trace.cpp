// Trace files, plan records and whatever events a trace may hold. The first byte says which.
#include "actors/trace/file.hpp"
#include "runtime/trace/chrome.hpp"
#include "runtime/trace/explain.hpp"
#include "runtime/trace/plan_reader.hpp"
#include "runtime/trace/story.hpp"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <sstream>

using namespace skippipe;
using namespace skippipe::runtime;

namespace {

void must(bool holds) {
  if (!holds)
    std::abort();
}

void read_file(std::span<const std::byte> bytes) {
  const auto result = trace::read_trace(bytes);
  if (const auto* line = std::get_if<std::string>(&result)) {
    must(!line->empty() && line->find('\n') == std::string::npos);
    return;
  }
  const auto& data = std::get<trace::trace_data>(result);
  std::size_t owned = 0;
  for (const auto& s : data.segments) {
    must(s.first + s.count <= data.events.size());
    owned += s.count;
  }
  must(owned == data.events.size());
  for (const auto& e : data.events)
    must(trace::well_formed(e));
}

void read_plan(std::string_view text) {
  const auto result = parse_plan_record(text);
  if (const auto* line = std::get_if<std::string>(&result)) {
    must(!line->empty());
    return;
  }
  const auto& record = std::get<trace::plan_record>(result);
  must(record.times.empty() || record.times.size() == record.plan.order.size());
}

// Small numbers, so that events meet: full-width ids would never fall on one microbatch.
void tell_events(std::span<const std::byte> bytes) {
  run_trace run;
  run.dir = "/nonexistent";
  std::int64_t time = 0;
  for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    const auto byte = [&](std::size_t i) { return std::to_integer<std::uint8_t>(bytes[at + i]); };
    trace::event e;
    time += byte(0);
    e.time_ns = time;
    e.kind = static_cast<trace::event_kind>(byte(1) % trace::event_kinds);
    e.task = static_cast<scheduler::task_kind>(byte(2) % 3);
    e.iteration = byte(2) / 128;
    e.evaluation = byte(2) / 64 % 2;
    e.node = byte(3) % 4;
    e.peer = byte(3) / 16 % 5 == 4 ? trace::no_node : byte(3) / 16 % 5;
    e.stage = byte(4) % 5 == 4 ? trace::no_stage : byte(4) % 5;
    e.microbatch = byte(4) / 16 % 4 == 3 ? trace::no_microbatch : byte(4) / 16 % 4;
    e.attempt = byte(5) % 3;
    e.step = byte(5) / 16;
    e.transfer = byte(6) % 8;
    e.why = static_cast<trace::reason>(byte(7) % trace::reasons);
    run.events.push_back(e);
  }
  for (const iteration_no iteration : {0, 1}) {
    const auto view = view_iteration(run, iteration);
    for (microbatch_id m = 0; m < 4; ++m) {
      const auto told = tell_story(run, view, m);
      if (const auto* s = std::get_if<story>(&told)) {
        story_text(run, *s);
        story_json(run, *s).dump();
      }
    }
    if (view.events.empty())
      continue;
    const auto x = explain(run, view);
    explain_text(run, x);
    for (const auto& n : x.nodes) {
      double sum = 0;
      for (const double s : n.seconds) {
        must(s >= 0);
        sum += s;
      }
      must(std::abs(sum - x.makespan_s) < 1e-9);
    }
    for (std::size_t i = 1; i < x.path.size(); ++i)
      must(x.path[i].begin_ns >= x.path[i - 1].begin_ns);
  }
  std::ostringstream out;
  const auto summary = write_chrome_trace(run, out);
  const auto json = nlohmann::json::parse(out.str());
  std::size_t ends = 0;
  for (const auto& e : json["traceEvents"])
    ends += e["ph"] == "f" ? 1 : 0;
  must(ends == summary.transfers);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const std::span bytes(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      read_file(bytes);
      break;
    case 1:
      read_plan({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
      break;
    default:
      tell_events(bytes);
  }
  return 0;
}
