#include "runtime/trace/iteration_view.hpp"
#include "runtime/trace/plan_reader.hpp"
#include "trace_pipeline.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>

using namespace skippipe;
using namespace skippipe::runtime;
using namespace skippipe::test;

TEST_CASE("the newest run is the one written last", "[trace][story]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  for (const char* name : {"a-1", "a-2", "a-3"})
    write_run(dir.path / name, plan, {run_pipeline(plan, {}, 1, 0).events});
  const auto touched = dir.path / "a-2" / "trace" / "o1.trace";
  std::filesystem::last_write_time(touched, std::filesystem::last_write_time(touched)
                                                + std::chrono::hours(1));
  CHECK(std::get<std::filesystem::path>(newest_run(dir.path)) == dir.path / "a-2");
}

TEST_CASE("damage is a warning while something can be read", "[trace][story]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  write_run(dir.path, plan, {run_pipeline(plan, {}, 3, 0).events});
  std::ofstream(dir.path / "trace" / "b2.trace") << "{}";
  std::ofstream(dir.path / "trace" / "b1.trace", std::ios::app) << "torn";
  std::ofstream(dir.path / "plans" / "5.json") << "{\"format\":\"skippipe-plan/1\"}";
  const auto loaded = load_run_trace(dir.path);
  REQUIRE(std::holds_alternative<run_trace>(loaded));
  const auto& run = std::get<run_trace>(loaded);
  REQUIRE(run.warnings.size() == 2);
  CHECK(run.warnings[0].find("b1.trace: ends in an unfinished block") == 0);
  CHECK(run.warnings[1].find("b2.trace: not a trace file") != std::string::npos);
  const auto view = view_iteration(run, 3);
  REQUIRE(view.warnings.size() == 1);
  CHECK(view.warnings[0].find("5.json: not a plan: expected an object with the key 'version'")
        != std::string::npos);
}

TEST_CASE("a later session's evaluations leave earlier iterations alone", "[trace][story]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  auto passes = run_pipeline(plan, {}, 1, 10'000'000'000).events;
  for (auto& node : passes)
    for (auto& e : node)
      e.evaluation = 1;
  const auto first = run_pipeline(plan, {}, 1, 0).events;
  write_run(dir.path, plan, {first, run_pipeline(plan, {}, 2, 2'000'000'000).events}, 1);
  write_run(dir.path, plan,
            {run_pipeline(plan, {}, 2, 8'000'000'000).events, passes,
             run_pipeline(plan, {}, 3, 12'000'000'000).events},
            2);
  const auto loaded = load_run_trace(dir.path);
  const auto& run = std::get<run_trace>(loaded);
  CHECK(iterations_of(run) == std::vector<std::uint64_t>{1, 2, 3});
  std::size_t wanted = 0, trained = 0, evaluated = 0;
  for (const auto& node : first)
    wanted += node.size();
  for (const auto& e : run.events)
    if (e.iteration == 1)
      ++(e.evaluation != 0 ? evaluated : trained);
  CHECK(trained == wanted);
  CHECK(evaluated == wanted);
  for (const auto& e : run.events) // What was done again counts once, as it was done last.
    CHECK((e.iteration != 2 || e.time_ns >= 8'000'000'000));
}

TEST_CASE("plans are read back as they were written", "[trace][plan]") {
  temporary_folder dir;
  auto plan = pipeline_plan();
  plan.strategy = "odd \"name\"\n";
  plan.makespan_s = 1.0 / 3;
  const auto times = run_pipeline(plan, {}, 1, 0).times;
  const bool timed = GENERATE(true, false);
  using all_times = std::vector<std::vector<trace::task_times>>;
  REQUIRE_FALSE(trace::write_plan_record(dir.path, plan, timed ? times : all_times{}));
  const auto result = load_plan_record(dir.path, plan.version);
  REQUIRE(std::holds_alternative<trace::plan_record>(result));
  const auto& back = std::get<trace::plan_record>(result);
  CHECK(back.plan.strategy == plan.strategy);
  CHECK(back.plan.makespan_s == plan.makespan_s);
  CHECK(back.plan.arrangement == plan.arrangement);
  CHECK(back.plan.paths == plan.paths);
  CHECK(back.plan.order == plan.order);
  CHECK(back.times == (timed ? times : all_times{}));
}

TEST_CASE("hostile plans end in one line", "[trace][plan]") {
  const std::string head = "{\"format\":\"skippipe-plan/1\",\"version\":1,\"strategy\":\"s\","
                           "\"makespan_s\":1,\"arrangement\":[],\"paths\":[],\"order\":";
  REQUIRE(std::holds_alternative<trace::plan_record>(parse_plan_record(head + "[]}")));
  for (const auto& text :
       {std::string(), std::string("["), std::string("[]"), std::string(100'000, '['),
        head + "[[[0,\"X\"]]]}", head + "[[[-1,\"F\"]]]}", head + "[[[0,\"F\",1]]]}",
        head + "[[[4294967296,\"F\"]]]}", head + "[[[0.5,\"F\"]]]}", head + "{}}",
        head + "[[[0,\"F\",null,1]]]}", std::string("{\"format\":\"other\"}")}) {
    const auto result = parse_plan_record(text);
    REQUIRE(std::holds_alternative<std::string>(result));
    const auto& line = std::get<std::string>(result);
    CHECK(line.find("not a plan: ") == 0);
    CHECK(line.find('\n') == std::string::npos);
  }
}

TEST_CASE("numbers are listed as ranges", "[trace][story]") {
  CHECK(ranges_text({}) == "none");
  CHECK(ranges_text({4}) == "4");
  CHECK(ranges_text({1, 2, 3, 7, 9, 10}) == "1..3, 7, 9..10");
  CHECK(ranges_text({1, 3, 5, 7}, 2) == "1, 3 and 2 more");
}
