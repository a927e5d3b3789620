#include "runtime/trace/story.hpp"

#include "runtime/trace/plan_reader.hpp"
#include "trace_pipeline.hpp"

#include <catch2/catch.hpp>
#include <fstream>

using namespace skippipe;
using namespace skippipe::runtime;
using namespace skippipe::test;
using trace::event_kind;

namespace {

constexpr std::int64_t start_ns = 5'000'000'000;

run_trace load(const std::filesystem::path& dir) {
  auto result = load_run_trace(dir);
  if (auto* line = std::get_if<std::string>(&result))
    FAIL(*line);
  return std::get<run_trace>(std::move(result));
}

story told(const run_trace& run, iteration_no iteration, microbatch_id microbatch) {
  auto result = tell_story(run, view_iteration(run, iteration), microbatch);
  if (auto* line = std::get_if<std::string>(&result))
    FAIL(*line);
  return std::get<story>(std::move(result));
}

std::string refused(const run_trace& run, iteration_no iteration, microbatch_id microbatch) {
  const auto result = tell_story(run, view_iteration(run, iteration), microbatch);
  REQUIRE(std::holds_alternative<std::string>(result));
  return std::get<std::string>(result);
}

double seconds(const hop_story& hop, activity what) {
  return hop.seconds[static_cast<std::size_t>(what)];
}

double after_start(const story& s, const time_point& at) {
  REQUIRE(at);
  return static_cast<double>(*at - s.begin_ns) / 1e9;
}

// Drops the events that `gone` names from a node's events.
template <class Gone>
void forget(std::vector<trace::event>& events, Gone gone) {
  events.erase(std::remove_if(events.begin(), events.end(), gone), events.end());
}

} // namespace

TEST_CASE("a run as planned: every task at its planned time", "[trace][story]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  write_run(dir.path, plan, {run_pipeline(plan, {}, 3, start_ns).events});
  const auto run = load(dir.path);
  for (microbatch_id m = 0; m < 4; ++m) {
    const auto s = told(run, 3, m);
    CHECK(s.plan == 5u);
    CHECK(s.stuck.empty());
    REQUIRE(s.hops.size() == 2 * plan.paths[m].hops.size() + 3);
    double covered = 0;
    for (const auto& hop : s.hops) {
      REQUIRE(hop.planned);
      CHECK(after_start(s, hop.task.started) == Approx(hop.planned->start_s));
      CHECK(after_start(s, hop.task.computed) == Approx(hop.planned->end_s));
      for (const double part : hop.seconds)
        covered += part;
    }
    // Computing and waiting explain the microbatch's whole time.
    CHECK(covered == Approx(after_start(s, s.hops.back().task.computed)));
  }
}

TEST_CASE("hops come in path order, also when it swaps or skips stages", "[trace][story]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  write_run(dir.path, plan, {run_pipeline(plan, {}, 3, start_ns).events});
  // Without the plan the events' steps give the same order.
  const bool with_plan = GENERATE(true, false);
  if (!with_plan)
    std::filesystem::remove_all(dir.path / "plans");
  const auto run = load(dir.path);
  const auto s = told(run, 3, 2);
  std::string route;
  for (const auto& hop : s.hops)
    route += std::string(trace::to_string(hop.task.kind)) + std::to_string(hop.task.stage) + " ";
  CHECK(route == "F0 F2 F1 L0 B1 B2 B0 ");
  CHECK(told(run, 3, 3).hops.size() == 5);
  CHECK(s.hops.front().planned.has_value() == with_plan);
  CHECK((story_text(run, s).find("without its plan") == std::string::npos) == with_plan);
}

TEST_CASE("the story says what a microbatch waited for", "[trace][story]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  pipeline_costs slow;
  slow.link[{2, 4}] = 300; // a1 -> b1
  slow.compute[2] = 150;
  write_run(dir.path, plan, {run_pipeline(plan, slow, 3, start_ns).events});
  const auto run = load(dir.path);

  const auto first = told(run, 3, 0);
  CHECK(seconds(first.hops[2], activity::link) == Approx(0.3));
  CHECK(after_start(first, first.hops[2].task.started) == Approx(0.59));
  CHECK(first.hops[2].planned->start_s == Approx(0.28));

  // Microbatch 2 is at b1 early, behind microbatch 0 by the plan: order, then busy.
  const auto second = told(run, 3, 2);
  CHECK(seconds(second.hops[1], activity::order) == Approx(0.35));
  CHECK(seconds(second.hops[1], activity::busy) == Approx(0.1));
  CHECK(seconds(second.hops[1], activity::link) == Approx(0.04));

  const auto text = story_text(run, second);
  CHECK(text.find("order 350.00, busy 100.00, link 40.00") != std::string::npos);
  CHECK(text.find("380.00-480.00") != std::string::npos);
  CHECK(text.find("reduction") != std::string::npos);
  const auto json = story_json(run, second);
  CHECK(json["hops"][1]["waited"]["order_s"] == Approx(0.35));
  CHECK(json["hops"][1]["node"] == "b1");
  CHECK(json["hops"][6]["to"].is_null());
  CHECK(json["stages"].size() == 3);
  CHECK(json["stages"][0]["committed_s"].get<double>() > 0);
}

TEST_CASE("a full receiver shows as waiting for credit", "[trace][story]") {
  temporary_folder dir;
  auto plan = pipeline_plan();
  // b2 holds one microbatch at a time: the second forward needs the first one's slot.
  using scheduler::task_kind;
  plan.order[5] = {{3, task_kind::forward},
                   {3, task_kind::backward},
                   {1, task_kind::forward},
                   {1, task_kind::backward}};
  plan.order[3] = {{1, task_kind::forward}, {1, task_kind::backward}};
  auto events = run_pipeline(plan, {}, 3, start_ns).events;
  // The simulated memory is two; make it one for b2 by hand: leave granted when 3 was freed.
  std::int64_t freed = 0;
  for (const auto& e : events[5])
    if (e.kind == event_kind::freed && e.microbatch == 3)
      freed = e.time_ns;
  for (auto& e : events[5])
    if (e.kind == event_kind::credit_granted && e.microbatch == 1)
      e.time_ns = freed;
  for (auto& e : events[5])
    if (e.microbatch == 1 && (e.kind == event_kind::received || e.kind == event_kind::queued))
      e.time_ns = freed;
  write_run(dir.path, plan, {events});
  const auto s = told(load(dir.path), 3, 1);
  const auto& hop = s.hops[2]; // F on b2
  CHECK(hop.task.node == 5);
  CHECK(seconds(hop, activity::credit)
        == Approx(static_cast<double>(freed - *s.hops[1].task.computed) / 1e9));
  CHECK(seconds(hop, activity::link) == Approx(0));
}

TEST_CASE("a slot that is not free shows as waiting for memory", "[trace][story]") {
  temporary_folder dir;
  auto plan = pipeline_plan();
  using scheduler::task_kind;
  // o2 holds one microbatch: 3 runs through before 1 may start.
  plan.order[1] = {{3, task_kind::forward}, {3, task_kind::loss}, {3, task_kind::backward},
                   {1, task_kind::forward}, {1, task_kind::loss}, {1, task_kind::backward}};
  plan.order[5] = {{3, task_kind::forward},
                   {3, task_kind::backward},
                   {1, task_kind::forward},
                   {1, task_kind::backward}};
  write_run(dir.path, plan, {run_pipeline(plan, {}, 3, start_ns, 1, 1 + 1).events});
  const auto s = told(load(dir.path), 3, 1);
  const auto& hop = s.hops[0];
  // Until o2's first forward: busy. The gaps between 3's tasks end with 3's tasks, the last one
  // with its freed slot.
  CHECK(seconds(hop, activity::busy) == Approx(0.1 + 0.025 + 0.15));
  CHECK(seconds(hop, activity::order) + seconds(hop, activity::memory)
            + seconds(hop, activity::other)
        == Approx(after_start(s, hop.task.started) - 0.275));
}

TEST_CASE("a stuck microbatch is found where it was last seen", "[trace][story]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  auto events = run_pipeline(plan, {}, 3, start_ns).events;
  struct scene {
    const char* name;
    const char* line;
  };
  const auto scenes =
      std::vector<scene>{{"lost", "its way from a1 to b1 after F of stage 1 was lost (deadline)"},
                         {"silent", "sent by a1 after F of stage 1 and never received by b1"},
                         {"unsent", "F of stage 1 on a1 is done and its result was never sent"},
                         {"hung", "F of stage 1 on a1 started and never ended"},
                         {"waiting", "F of stage 1 on a1 has its input but never started"},
                         {"uncommitted", "all its tasks ran; no commit has reached o1, a1, b1"},
                         {"unreduced", "all its tasks ran; gradients are not reduced on a1"}};
  const auto& scene = GENERATE_COPY(from_range(scenes));
  const std::string name = scene.name;
  const auto tasks_after = [&](event_kind last, std::int64_t time) {
    for (auto& node : events)
      forget(node, [&](const trace::event& e) {
        return (e.microbatch == 0 && e.kind != event_kind::planned
                && (e.time_ns > time || (e.time_ns == time && e.kind > last)))
               || (e.microbatch == trace::no_microbatch && e.time_ns > time);
      });
  };
  if (name == "uncommitted") {
    for (auto& node : events)
      forget(node, [](const trace::event& e) { return e.kind == event_kind::commit_received; });
  } else if (name == "unreduced") {
    for (auto& node : events)
      forget(node, [](const trace::event& e) {
        return e.kind == event_kind::commit_received
               || (e.node == 2 && e.kind == event_kind::reduced);
      });
  } else {
    // Microbatch 0 starts on a1 at 140 ms, ends at 240 and is sent at once.
    const std::int64_t begun = start_ns + 140'000'000;
    const std::int64_t ended = start_ns + 240'000'000;
    if (name == "hung")
      tasks_after(event_kind::started, begun);
    else if (name == "waiting")
      tasks_after(event_kind::queued, begun - 1), events[2].push_back([&] {
        trace::event e;
        e.kind = event_kind::queued;
        e.time_ns = begun;
        e.iteration = 3;
        e.node = 2;
        e.stage = 1;
        e.microbatch = 0;
        e.attempt = 1;
        e.step = 1;
        e.plan = 5;
        return e;
      }());
    else if (name == "unsent")
      tasks_after(event_kind::computed, ended);
    else
      tasks_after(event_kind::sent, ended);
    if (name == "lost") {
      trace::event e;
      for (const auto& x : events[2])
        if (x.kind == event_kind::sent && x.microbatch == 0)
          e = x;
      e.kind = event_kind::lost;
      e.why = trace::reason::deadline;
      e.time_ns += 1;
      events[2].push_back(e);
    }
  }
  write_run(dir.path, plan, {events});
  const auto run = load(dir.path);
  const auto s = told(run, 3, 0);
  CHECK(s.stuck == scene.line);
  CHECK(story_text(run, s).find(std::string("stuck: ") + scene.line) != std::string::npos);
  CHECK(s.drops.size() == (name == "lost" ? 1 : 0));
}

TEST_CASE("the last attempt is told, with what became of the others", "[trace][story]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  auto first = run_pipeline(plan, {}, 3, start_ns, 1).events;
  for (auto& node : first)
    forget(node, [](const trace::event& e) { return e.time_ns > start_ns + 200'000'000; });
  auto second = run_pipeline(plan, {}, 3, start_ns + 1'000'000'000, 2).events;
  trace::event late; // a result of the first attempt comes in late
  late.kind = event_kind::dropped;
  late.why = trace::reason::stale_attempt;
  late.time_ns = start_ns + 1'010'000'000;
  late.iteration = 3;
  late.node = 2;
  late.microbatch = 0;
  late.attempt = 1;
  second[2].push_back(late);
  write_run(dir.path, plan, {first, second});
  const auto run = load(dir.path);
  const auto s = told(run, 3, 0);
  CHECK(s.attempt == 2);
  CHECK(s.attempts == 2);
  CHECK(after_start(s, s.hops[1].task.started) == Approx(s.hops[1].planned->start_s));
  REQUIRE(s.drops.size() == 1);
  CHECK(s.drops[0].at_s == Approx(0.01));
  const auto text = story_text(run, s);
  CHECK(text.find("attempt 2 (the last of 2)") != std::string::npos);
  CHECK(text.find("dropped by a1 (stale_attempt)") != std::string::npos);
}

TEST_CASE("after a resume the repetition of an iteration is told", "[trace][story]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  pipeline_costs slow;
  slow.compute[0] = 200;
  // Virtual time begins anew with each start.
  write_run(
      dir.path, plan,
      {run_pipeline(plan, slow, 1, 0).events, run_pipeline(plan, slow, 2, 3'000'000'000).events},
      1);
  write_run(dir.path, plan, {run_pipeline(plan, {}, 2, 0).events}, 2);
  const auto run = load(dir.path);
  CHECK(after_start(told(run, 1, 0), told(run, 1, 0).hops[0].task.computed) == Approx(0.2));
  CHECK(after_start(told(run, 2, 0), told(run, 2, 0).hops[0].task.computed) == Approx(0.1));
  CHECK(iterations_of(run) == std::vector<std::uint64_t>{1, 2});
  CHECK(told(run, 2, 0).begin_ns > told(run, 1, 0).begin_ns);
}

TEST_CASE("nodes' clocks are brought to the scheduler's", "[trace][story]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  write_run(dir.path, plan, {run_pipeline(plan, {}, 3, start_ns).events}, 1,
            {7, -1'000'000'000, 0, 55'000, 1'000'000'000'000, -3, 0});
  const auto s = told(load(dir.path), 3, 1);
  for (const auto& hop : s.hops)
    CHECK(after_start(s, hop.task.started) == Approx(hop.planned->start_s));
}

TEST_CASE("what is not in the trace is said, with what is", "[trace][story]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  std::vector<std::vector<std::vector<trace::event>>> iterations;
  for (const iteration_no i : {1, 2, 3, 7})
    iterations.push_back(
        run_pipeline(plan, {}, i, static_cast<std::int64_t>(i) * 3'000'000'000).events);
  write_run(dir.path, plan, iterations);
  auto result = load_run_trace(dir.path, {5, 5});
  const auto& part = std::get<run_trace>(result);
  CHECK(refused(part, 5, 0).find("iteration 5 is not in the trace of") == 0);
  CHECK(refused(part, 5, 0).find("it holds iterations 1..3, 7") != std::string::npos);
  CHECK(refused(load(dir.path), 2, 9)
        == "microbatch 9 is not in the trace of iteration 2: it holds microbatches 0..3");

  CHECK(std::get<std::string>(load_run_trace(dir.path / "none")).find("no such run folder")
        != std::string::npos);
  std::filesystem::create_directories(dir.path / "empty");
  CHECK(std::get<std::string>(load_run_trace(dir.path / "empty")).find("holds no trace")
        != std::string::npos);
  CHECK(std::get<std::string>(newest_run(dir.path / "nothing")).find("--run-dir")
        != std::string::npos);
}

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
  write_run(dir.path, plan, {run_pipeline(plan, {}, 3, start_ns).events});
  std::ofstream(dir.path / "trace" / "b2.trace") << "{}";
  std::ofstream(dir.path / "trace" / "b1.trace", std::ios::app) << "torn";
  std::ofstream(dir.path / "plans" / "5.json") << "{\"format\":\"skippipe-plan/1\"}";
  const auto run = load(dir.path);
  REQUIRE(run.warnings.size() == 2);
  CHECK(run.warnings[0].find("b1.trace: ends in an unfinished block") == 0);
  CHECK(run.warnings[1].find("b2.trace: not a trace file") != std::string::npos);
  const auto view = view_iteration(run, 3);
  REQUIRE(view.warnings.size() == 1);
  CHECK(view.warnings[0].find("5.json: not a plan: expected an object with the key 'version'")
        != std::string::npos);
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
