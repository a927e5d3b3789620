#include "runtime/trace/chrome.hpp"

#include "trace_pipeline.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

using namespace skippipe;
using namespace skippipe::runtime;
using namespace skippipe::test;
using nlohmann::json;
using trace::event_kind;

namespace {

struct slice {
  double begin;
  double end;
  std::string name;
};
using lane = std::pair<int, int>; // process, thread

struct chrome_trace {
  std::map<lane, std::vector<slice>> slices;
  std::map<std::pair<std::string, std::string>, std::vector<json>> starts, ends; // by cat, id
  std::map<int, std::string> processes;
  std::map<lane, std::string> threads;
};

// Reads an export, checking what every record must have.
chrome_trace parse(const std::string& text) {
  const auto all = json::parse(text);
  REQUIRE(all.at("traceEvents").is_array());
  chrome_trace out;
  for (const auto& e : all["traceEvents"]) {
    const auto ph = e.at("ph").get<std::string>();
    REQUIRE(e.at("pid").is_number_unsigned());
    REQUIRE(e.at("name").is_string());
    if (ph == "M") {
      const auto name = e["name"].get<std::string>();
      if (name == "process_name")
        out.processes[e["pid"]] = e.at("args").at("name");
      else if (name == "thread_name")
        out.threads[{e["pid"], e.at("tid")}] = e.at("args").at("name");
      continue;
    }
    const lane at{e["pid"], e.at("tid")};
    const double ts = e.at("ts");
    REQUIRE(ts >= 0);
    REQUIRE(e.at("cat").is_string());
    if (ph == "X") {
      const double dur = e.at("dur");
      REQUIRE(dur >= 0);
      out.slices[at].push_back({ts, ts + dur, e["name"]});
      continue;
    }
    REQUIRE((ph == "s" || ph == "f"));
    REQUIRE(e.at("id").is_string()); // 64 bits do not fit a JSON number
    if (ph == "f")
      REQUIRE(e.at("bp") == "e");
    (ph == "s" ? out.starts : out.ends)[{e["cat"], e["id"]}].push_back(e);
  }
  return out;
}

const slice* around(const chrome_trace& t, const json& flow) {
  const auto found = t.slices.find({flow["pid"], flow["tid"]});
  if (found == t.slices.end())
    return nullptr;
  const double ts = flow["ts"];
  for (const auto& s : found->second)
    if (s.begin <= ts && ts < s.end)
      return &s;
  return nullptr;
}

// What must hold of every export: flows in pairs, each end in a slice, forward in time; slices of
// a thread nested or apart; everything named.
void check_structure(const chrome_trace& t) {
  CHECK(t.starts.size() == t.ends.size());
  for (const auto& [key, starts] : t.starts) {
    INFO("cat " << key.first << " id " << key.second);
    REQUIRE(starts.size() == 1);
    REQUIRE(t.ends.count(key) == 1);
    const auto& ends = t.ends.at(key);
    REQUIRE(ends.size() == 1);
    CHECK(around(t, starts[0]) != nullptr);
    CHECK(around(t, ends[0]) != nullptr);
    CHECK(starts[0]["ts"].get<double>() <= ends[0]["ts"].get<double>());
  }
  for (const auto& [at, slices] : t.slices) {
    CHECK(t.processes.count(at.first) == 1);
    CHECK(t.threads.count(at) == 1);
    for (std::size_t i = 1; i < slices.size(); ++i)
      CHECK(slices[i].begin >= slices[i - 1].end - 0.0005);
  }
}

std::pair<chrome_trace, chrome_summary> exported(const std::filesystem::path& dir,
                                                 const trace::event_filter& filter = {}) {
  const auto result = load_run_trace(dir, filter);
  if (const auto* line = std::get_if<std::string>(&result))
    FAIL(*line);
  std::ostringstream out;
  const auto summary = write_chrome_trace(std::get<run_trace>(result), out);
  return {parse(out.str()), summary};
}

std::size_t count_named(const chrome_trace& t, const std::string& name) {
  std::size_t count = 0;
  for (const auto& [at, slices] : t.slices)
    for (const auto& s : slices)
      count += s.name == name ? 1 : 0;
  return count;
}

constexpr std::size_t chunks = 6;

} // namespace

TEST_CASE("an export has a flow per transfer and a slice per task", "[trace][chrome]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  write_run(dir.path, plan,
            {run_pipeline(plan, {}, 1, 0).events, run_pipeline(plan, {}, 2, 3'000'000'000).events});
  const auto [t, summary] = exported(dir.path);
  check_structure(t);
  std::size_t sends = 0;
  for (const auto& path : plan.paths)
    sends += 2 * (path.hops.size() + 1) - (path.hops.empty() ? 2 : 0);
  CHECK(summary.transfers == 2 * (sends + chunks));
  CHECK(t.starts.size() == summary.transfers);
  CHECK(summary.lost == 0);
  CHECK(count_named(t, "lost") == 0);
  for (microbatch_id m = 0; m < 4; ++m) {
    const auto hops = plan.paths[m].hops.size();
    CHECK(count_named(t, "F " + std::to_string(m)) == 2 * (hops + 1));
    CHECK(count_named(t, "L " + std::to_string(m)) == 2);
    CHECK(count_named(t, "B " + std::to_string(m)) == 2 * (hops + 1));
  }
  CHECK(count_named(t, "reduction") == 12);
  CHECK(count_named(t, "optimizer") == 12);
  CHECK(t.processes.size() == 7);
  CHECK(t.processes.at(4) == "b1");
  std::set<std::string> kinds;
  for (const auto& [at, name] : t.threads)
    kinds.insert(name.substr(0, name.find(' ')));
  CHECK(kinds == std::set<std::string>{"compute", "send", "receive", "reduce", "control"});
}

TEST_CASE("an export of some iterations holds only those", "[trace][chrome]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  write_run(dir.path, plan,
            {run_pipeline(plan, {}, 1, 0).events, run_pipeline(plan, {}, 2, 3'000'000'000).events});
  const auto [both, all] = exported(dir.path);
  const auto [t, summary] = exported(dir.path, {2, 2});
  check_structure(t);
  CHECK(summary.transfers * 2 == all.transfers);
}

TEST_CASE("a transfer that died ends at a slice named lost", "[trace][chrome]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  auto events = run_pipeline(plan, {}, 1, 0).events;
  // One is reported by its sender, one by nobody: b1 died.
  bool reported = false;
  for (auto& e : events[2])
    if (e.kind == event_kind::sent && !reported) {
      auto lost = e;
      lost.kind = event_kind::lost;
      lost.why = trace::reason::peer_gone;
      lost.time_ns += 5'000'000;
      events[2].push_back(lost);
      reported = true;
      break;
    }
  std::size_t unheard = 0;
  auto& b1 = events[4];
  for (std::size_t i = 0; i < b1.size();) {
    if (b1[i].kind == event_kind::received || b1[i].kind == event_kind::reduce_received) {
      ++unheard;
      b1.erase(b1.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
  write_run(dir.path, plan, {events});
  const auto [t, summary] = exported(dir.path);
  check_structure(t);
  CHECK(unheard == 5);
  CHECK(summary.lost == unheard);
  CHECK(count_named(t, "lost") == unheard);
  std::size_t ends_at_lost = 0;
  for (const auto& [key, ends] : t.ends)
    ends_at_lost += around(t, ends[0])->name == "lost" ? 1 : 0;
  CHECK(ends_at_lost == unheard);
}

TEST_CASE("repeated, unsent and skewed receptions keep the flows in pairs", "[trace][chrome]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  auto events = run_pipeline(plan, {}, 1, 0).events;
  auto again = events[4].front();
  for (const auto& e : events[4])
    if (e.kind == event_kind::received)
      again = e;
  again.time_ns += 1'000'000;
  events[4].push_back(again); // the same transfer twice
  again.transfer = 12345;
  events[4].push_back(again); // its sender's event is gone
  for (auto& e : events[5])
    e.time_ns -= 100'000'000; // this node's clock is wrong
  for (auto& e : events[5])
    e.time_ns = std::max<std::int64_t>(e.time_ns, 0);
  write_run(dir.path, plan, {events});
  const auto [t, summary] = exported(dir.path);
  CHECK(t.starts.size() == summary.transfers);
  for (const auto& [key, starts] : t.starts) {
    REQUIRE(t.ends.count(key) == 1);
    CHECK(starts.size() == 1);
    CHECK(t.ends.at(key).size() == 1);
    CHECK(starts[0]["ts"].get<double>() <= t.ends.at(key)[0]["ts"].get<double>());
  }
}

TEST_CASE("names are escaped in an export", "[trace][chrome]") {
  temporary_folder dir;
  trace::segment_info info;
  info.name = "a\"\\\n\xff";
  trace::file_writer writer;
  REQUIRE_FALSE(writer.open({dir.path}, info));
  trace::event e;
  e.node = 0;
  e.kind = event_kind::iteration_started;
  e.iteration = 1;
  REQUIRE_FALSE(writer.append(std::span(&e, 1), 0));
  const auto [t, summary] = exported(dir.path);
  CHECK(t.processes.at(0).substr(0, 4) == "a\"\\\n");
  CHECK(summary.slices == 1);
}

TEST_CASE("an empty trace exports as an empty list", "[trace][chrome]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  write_run(dir.path, plan, {});
  const auto [t, summary] = exported(dir.path);
  CHECK(summary.slices == 0);
  CHECK(t.slices.empty());
}
