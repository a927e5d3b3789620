#include "runtime/trace/commands.hpp"

#include "trace_pipeline.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

using namespace skippipe;
using namespace skippipe::runtime;
using namespace skippipe::test;

TEST_CASE("explain prints the promised JSON", "[trace][explain]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  write_run(dir.path, plan, {run_pipeline(plan, {}, 4, 0).events});
  std::ostringstream out, err;
  REQUIRE(trace_explain({dir.path, true}, 4, {out, err}) == 0);
  const auto json = nlohmann::json::parse(out.str());
  CHECK(json["iteration"] == 4);
  CHECK(json["makespan_s"].get<double>() > 1);
  CHECK(json["critical_path"].size() > 10);
  CHECK(json["advice"].is_array());
  REQUIRE(json["nodes"].size() == 6);
  for (const auto& n : json["nodes"]) {
    double sum = 0;
    for (const char* key : {"compute", "wait_link", "memory_full", "collision", "reduction",
                            "commit", "idle", "recovery"})
      sum += n.at(key).get<double>();
    CHECK(sum == Approx(json["makespan_s"].get<double>()));
  }
  CHECK(json["nodes"][0]["name"] == "o1");
}

TEST_CASE("commands answer with one line and a code", "[trace][cli]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  write_run(dir.path, plan, {run_pipeline(plan, {}, 4, 0).events});
  std::ostringstream out, err;
  const trace_source here{dir.path, false};
  const trace_source json{dir.path, true};

  CHECK(trace_show(here, {4, 2}, {out, err}) == 0);
  CHECK(out.str().find("microbatch 2 of iteration 4, plan 5 (by-hand)") == 0);
  out.str("");
  CHECK(trace_show(here, {4, {}}, {out, err}) == 0);
  CHECK(out.str().find("o1 b1 a1") != std::string::npos);
  out.str("");
  CHECK(trace_show(here, {}, {out, err}) == 0);
  CHECK(out.str().find("not committed") == std::string::npos);
  out.str("");
  CHECK(trace_show(json, {}, {out, err}) == 0);
  const auto summary = nlohmann::json::parse(out.str())["iterations"];
  REQUIRE(summary.size() == 1);
  CHECK(summary[0]["microbatches"] == 4);
  CHECK(summary[0]["replays"] == 0);
  CHECK(summary[0]["bytes"] == 22 * (1 << 20) + 6 * (4 << 20));
  out.str("");
  CHECK(trace_show(json, {4, {}}, {out, err}) == 0);
  const auto microbatches = nlohmann::json::parse(out.str())["microbatches"];
  REQUIRE(microbatches.size() == 4);
  for (const auto& m : microbatches) {
    CHECK(m["tasks_done"] == m["tasks"]);
    double sum = 0;
    for (const auto& spent : m["spent"])
      sum += spent.get<double>();
    CHECK(sum == Approx(m["seconds"].get<double>()));
  }
  out.str("");
  CHECK(trace_show(json, {4, 2}, {out, err}) == 0);
  CHECK(nlohmann::json::parse(out.str())["hops"].size() == 7);
  CHECK(err.str().empty());

  auto refused = [&](int expected, int code) {
    CHECK(code == expected);
    const auto line = err.str();
    err.str("");
    CHECK(line.find('\n') == line.size() - 1);
    return line;
  };
  out.str("");
  CHECK(refused(1, trace_show(here, {9, 2}, {out, err}))
        == "skippipe: iteration 9 is not in the trace of " + dir.path.string()
               + ": it holds iterations 4\n");
  CHECK(refused(1, trace_explain(here, 9, {out, err})).find("it holds iterations 4")
        != std::string::npos);
  CHECK(
      refused(1, trace_show({dir.path / "x", false}, {4, 0}, {out, err})).find("no such run folder")
      != std::string::npos);
  CHECK(refused(2, trace_show(here, {{}, 3}, {out, err})).find("--iteration") != std::string::npos);
  trace_export_options options;
  options.out_file = dir.path / "t.json";
  options.iterations = "4..2";
  CHECK(refused(2, trace_export(here, options, {out, err})).find("got '4..2'")
        != std::string::npos);
  options.iterations = "7";
  CHECK(refused(1, trace_export(here, options, {out, err})).find("iteration 7 is not")
        != std::string::npos);
  options.iterations.clear();
  options.format = "svg";
  CHECK(refused(2, trace_export(here, options, {out, err})).find("use chrome")
        != std::string::npos);
  options.format = "chrome";
  options.out_file = dir.path / "no" / "t.json";
  CHECK(refused(1, trace_export(here, options, {out, err})).find("cannot write here")
        != std::string::npos);
  options.out_file = "/dev/full";
  CHECK(refused(1, trace_export(here, options, {out, err})).find("is the disk full?")
        != std::string::npos);
  CHECK(out.str().empty());

  options.out_file = dir.path / "t.json";
  CHECK(trace_export(json, options, {out, err}) == 0);
  CHECK(nlohmann::json::parse(out.str())["lost"] == 0);
  CHECK(nlohmann::json::parse(std::ifstream(options.out_file))["traceEvents"].size() > 100);
}

TEST_CASE("ranges of iterations", "[trace][cli]") {
  auto is = [](const char* text, iteration_no first, iteration_no last) {
    const auto range = parse_iterations(text);
    return range && range->first == first && range->last == last;
  };
  CHECK(is("3", 3, 3));
  CHECK(is("3..9", 3, 9));
  for (const char* text : {"", "0", "0..3", "3..", "..3", "3...9", "3.9", "9..3", "-1", "a",
                           "3..9x", "99999999999999999999"})
    CHECK_FALSE(parse_iterations(text));
}
