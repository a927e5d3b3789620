#include "runtime/trace/explain.hpp"

#include "trace_pipeline.hpp"

#include <catch2/catch.hpp>
#include <random>

using namespace skippipe;
using namespace skippipe::runtime;
using namespace skippipe::test;
using trace::event_kind;

namespace {

struct explained {
  run_trace run;
  iteration_view view;
  explanation x;
};

explained explain_run(const std::filesystem::path& dir, iteration_no iteration) {
  auto loaded = load_run_trace(dir);
  if (const auto* line = std::get_if<std::string>(&loaded))
    FAIL(*line);
  explained out{std::get<run_trace>(std::move(loaded)), {}, {}};
  out.view = view_iteration(out.run, iteration);
  out.x = explain(out.run, out.view);
  return out;
}

const node_time& of(const explained& e, node_id node) {
  for (const auto& n : e.x.nodes)
    if (n.node == node)
      return n;
  throw std::logic_error("no such node");
}

// Every second of every node is named, and the critical path is one chain without gaps.
void check_complete(const explained& e) {
  for (const auto& n : e.x.nodes) {
    double sum = 0;
    for (const double s : n.seconds) {
      CHECK(s >= 0);
      sum += s;
    }
    CHECK(sum == Approx(e.x.makespan_s));
  }
  REQUIRE_FALSE(e.x.path.empty());
  CHECK(e.x.path.front().begin_ns == e.view.begin_ns);
  CHECK(e.x.path.back().end_ns == e.view.end_ns);
  for (std::size_t i = 1; i < e.x.path.size(); ++i)
    CHECK(e.x.path[i].begin_ns == e.x.path[i - 1].end_ns);
}

bool advises(const explained& e, const std::string& words) {
  for (const auto& line : e.x.advice)
    if (line.find(words) != std::string::npos)
      return true;
  return false;
}

} // namespace

TEST_CASE("every second of an iteration is explained", "[trace][explain]") {
  const auto plan = pipeline_plan();
  for (unsigned seed = 0; seed < 60; ++seed) {
    temporary_folder dir;
    std::mt19937 random(seed);
    pipeline_costs costs;
    for (auto& c : costs.compute)
      c = 50 + random() % 300;
    for (node_id a = 0; a < 6; ++a)
      for (node_id b = 0; b < 6; ++b)
        costs.link[{a, b}] = 5 + random() % 400;
    write_run(dir.path, plan, {run_pipeline(plan, costs, 4, 1'000'000).events});
    INFO("seed " << seed);
    const auto e = explain_run(dir.path, 4);
    REQUIRE(e.x.nodes.size() == 6);
    check_complete(e);
    for (const auto& n : e.x.nodes) {
      double tasks = 0;
      for (const auto& t : e.view.tasks)
        if (t.node == n.node)
          tasks += static_cast<double>(*t.computed - *t.started) / 1e9;
      CHECK(n.of(share::compute) == Approx(tasks + 0.015)); // and the optimizer
      CHECK(n.of(share::recovery) == 0);
    }
  }
}

TEST_CASE("a slow link is found", "[trace][explain]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  pipeline_costs costs;
  costs.link[{2, 4}] = 1000; // a1 -> b1, forward of 0 and backward of 2
  write_run(dir.path, plan, {run_pipeline(plan, costs, 4, 0).events});
  const auto e = explain_run(dir.path, 4);
  check_complete(e);
  CHECK(of(e, 4).of(share::wait_link) > 1.5);
  CHECK(of(e, 3).of(share::wait_link) < 0.5);
  CHECK(advises(e, "the slowest is a1 -> b1 with 1 s for 1048576 bytes"));
  std::size_t crossings = 0;
  for (const auto& s : e.x.path)
    crossings += s.what == critical_step::type::link && s.from == 2 && s.node == 4 ? 1 : 0;
  CHECK(crossings == 2);
}

TEST_CASE("a slow node is found and compared with its plan", "[trace][explain]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  pipeline_costs costs;
  costs.compute[0] = 1000;
  write_run(dir.path, plan, {run_pipeline(plan, costs, 4, 0).events});
  const auto e = explain_run(dir.path, 4);
  check_complete(e);
  CHECK(advises(e, "o1 computed for 5.5 s where the plan counts on 0.55 s"));
  CHECK(advises(e, "% of the time: give stage 0 another node"));
  // b1 stood idle while o1 computed what it needed next.
  CHECK(of(e, 4).of(share::idle) + of(e, 4).of(share::collision) > 2);
}

TEST_CASE("waiting for a slot is memory, here and on the critical path", "[trace][explain]") {
  temporary_folder dir;
  auto plan = pipeline_plan();
  using scheduler::task_kind;
  constexpr auto f = task_kind::forward, l = task_kind::loss, b = task_kind::backward;
  plan.order[1] = {{1, f}, {1, l}, {1, b}, {3, f}, {3, l}, {3, b}};
  plan.order[5] = {{1, f}, {1, b}, {3, f}, {3, b}};
  auto events = run_pipeline(plan, {}, 4, 0, 1, {{1, 1}, {5, 1}}).events;
  write_run(dir.path, plan, {events});
  const auto e = explain_run(dir.path, 4);
  check_complete(e);
  // b2 could have been given microbatch 3 at once; it was held for want of a slot at o2.
  const auto& m = e.view.microbatches.at(3);
  double memory = 0;
  for (const auto& s : m.spans)
    if (s.what == activity::memory || s.what == activity::credit)
      memory += static_cast<double>(s.end - s.begin) / 1e9;
  CHECK(memory > 0.3);
  CHECK(advises(e, "waiting for memory"));
}

TEST_CASE("a given-up attempt is recovery", "[trace][explain]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  auto first = run_pipeline(plan, {}, 4, 0, 1).events;
  for (auto& node : first)
    node.erase(std::remove_if(node.begin(), node.end(),
                              [](const trace::event& e) { return e.time_ns > 300'000'000; }),
               node.end());
  write_run(dir.path, plan, {first, run_pipeline(plan, {}, 4, 1'000'000'000, 2).events});
  const auto e = explain_run(dir.path, 4);
  for (const auto& n : e.x.nodes) {
    double sum = 0;
    for (const double s : n.seconds)
      sum += s;
    CHECK(sum == Approx(e.x.makespan_s));
    CHECK(n.of(share::recovery) == Approx(1));
  }
  CHECK(advises(e, "on attempts that were given up"));
}

TEST_CASE("an unfinished iteration is explained as far as it went", "[trace][explain]") {
  const auto plan = pipeline_plan();
  const auto whole = run_pipeline(plan, {}, 4, 0).events;
  for (std::int64_t cut = 0; cut < 1'600'000'000; cut += 45'000'000) {
    temporary_folder dir;
    auto events = whole;
    for (auto& node : events)
      node.erase(std::remove_if(node.begin(), node.end(),
                                [&](const trace::event& e) { return e.time_ns > cut; }),
                 node.end());
    write_run(dir.path, plan, {events});
    const auto e = explain_run(dir.path, 4);
    for (const auto& n : e.x.nodes) {
      double sum = 0;
      for (const double s : n.seconds)
        sum += s;
      CHECK(sum == Approx(e.x.makespan_s).margin(1e-9));
    }
    CHECK_NOTHROW(explain_text(e.run, e.x));
  }
}
