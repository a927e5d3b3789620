#include "runtime/trace/story.hpp"

#include "trace_pipeline.hpp"

#include <catch2/catch.hpp>

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
  const auto events = run_pipeline(plan, {}, 3, start_ns, 1, {{5, 1}}).events;
  std::int64_t freed = 0;
  for (const auto& e : events[5])
    if (e.kind == event_kind::freed && e.microbatch == 3)
      freed = e.time_ns;
  write_run(dir.path, plan, {events});
  const auto s = told(load(dir.path), 3, 1);
  const auto& hop = s.hops[2]; // F on b2
  CHECK(hop.task.node == 5);
  CHECK(seconds(hop, activity::credit)
        == Approx(static_cast<double>(freed - *s.hops[1].task.computed) / 1e9));
  CHECK(seconds(hop, activity::link) == Approx(0.04));
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
  write_run(dir.path, plan, {run_pipeline(plan, {}, 3, start_ns, 1, {{1, 1}}).events});
  const auto s = told(load(dir.path), 3, 1);
  const auto& hop = s.hops[0];
  const double start = after_start(s, hop.task.started);
  CHECK(seconds(hop, activity::busy) == Approx(0.1 + 0.025 + 0.15));
  CHECK(seconds(hop, activity::memory) == Approx(start - 0.275));
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
  CHECK(text.find("the last of 2 attempts") != std::string::npos);
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
