#include "scheduler/check.hpp"
#include "scheduler/dispatch.hpp"
#include "scheduler/path_rules.hpp"
#include "scheduler/planner.hpp"
#include "scheduler/simulator.hpp"

#include "generate.hpp"

#include "tests/sanitized.hpp"

#include <catch2/catch.hpp>

using namespace skippipe;
using namespace skippipe::scheduler;
using skippipe::scheduler::testing::random_instance;

namespace {

/// Two origins and one node in each of stages 1 and 2.
instance small() {
  instance x;
  x.stages = 3;
  x.stage_sizes = {2, 1, 1};
  x.path_length = 2;
  x.microbatches_per_origin = 2;
  for (int i = 0; i < 4; ++i)
    x.nodes.push_back({"n", "x", 1, 2});
  x.link_s.assign(16, 1.0);
  return x;
}

std::string first(const std::vector<std::string>& lines) {
  return lines.empty() ? "" : lines.front();
}

} // namespace

TEST_CASE("one microbatch alone takes the sum of its tasks and links", "[scheduler][simulator]") {
  instance x = small();
  x.microbatches_per_origin = 1;
  x.stage_sizes = {1, 2, 1};
  x.path_length = 3;
  const std::vector<path> paths{{0, 0, {{1, 1}, {2, 3}}}};
  const auto f = task_kind::forward, l = task_kind::loss, b = task_kind::backward;
  const auto timed =
      simulate(x, paths, {{{0, f}, {0, l}, {0, b}}, {{0, f}, {0, b}}, {}, {{0, f}, {0, b}}});
  REQUIRE(timed.violations.empty());
  CHECK(timed.makespan_s == Approx(3 * 1 + 0.25 + 3 * 1.5 + 6 * 1));
  CHECK(timed.start[0][2] == Approx(4));
  CHECK(timed.busy_s[0] == Approx(2.75));
  CHECK(timed.busy_s[2] == Approx(0));
}

TEST_CASE("R4: the simulator names what is wrong", "[scheduler][simulator]") {
  instance x = small();
  const auto f = task_kind::forward, l = task_kind::loss, b = task_kind::backward;
  const std::vector<path> paths{{0, 0, {{1, 2}}}, {1, 0, {{2, 3}}}};
  const std::vector<std::vector<planned_task>> good{
      {{0, f}, {1, f}, {0, l}, {1, l}, {0, b}, {1, b}}, {}, {{0, f}, {0, b}}, {{1, f}, {1, b}}};
  CHECK(simulate(x, paths, good).violations.empty());

  auto order = good;
  order[0].pop_back();
  CHECK(first(simulate(x, paths, order).violations) == "order: 1 tasks are missing");
  order[0].push_back({0, b});
  CHECK(first(simulate(x, paths, order).violations)
        == "order of node 0: B of microbatch 0 is listed twice");
  order = good;
  std::swap(order[0][0], order[0][2]);
  CHECK(first(simulate(x, paths, order).violations)
        == "deadlock: node 0 waits for L of microbatch 0");
  x.nodes[0].memory = 1;
  CHECK(first(simulate(x, paths, good).violations)
        == "memory: the order of node 0 holds 2 microbatches, it has 1 slots");
}

TEST_CASE("R2 R3 R4: ten thousand random plans are valid and run to their end",
          "[scheduler][planner]") {
  random_source random(3);
  for (int i = 0; i < 10000 / one_case_in(10); ++i) {
    const instance x = random_instance(random);
    planner_options options;
    options.seed = random.next();
    constexpr strategy kinds[] = {strategy::full, strategy::random, strategy::no_collision,
                                  strategy::cbs, strategy::random};
    options.kind = kinds[i % 5];
    options.max_iterations = 20;
    const auto result = make_plan(x, options);
    if (const auto* why = std::get_if<infeasible>(&result)) {
      // Only jumps can be in the way here, and rarely.
      REQUIRE(why->nearest.rfind("max_jump = ", 0) == 0);
      continue;
    }
    INFO("plan " << i);
    REQUIRE(first(check_plan(x, std::get<plan>(result))) == "");
  }
}

TEST_CASE("R12: given routes are followed, an odd count is shared out", "[scheduler][planner]") {
  instance x = small();
  x.routes = {{1}, {2}, {1}, {2}, {1}};
  planner_options options;
  options.kind = strategy::random;
  const auto result = make_plan(x, options);
  const plan& p = std::get<plan>(result);
  CHECK(first(check_plan(x, p)) == "");
  REQUIRE(p.paths.size() == 5);
  CHECK(p.paths[1].hops[0].stage == 2);
}

TEST_CASE("the same seed gives the same plan", "[scheduler][planner]") {
  const instance x = small();
  planner_options options;
  options.kind = strategy::random;
  options.seed = 5;
  const plan a = std::get<plan>(make_plan(x, options));
  const plan b = std::get<plan>(make_plan(x, options));
  CHECK(a.paths == b.paths);
  CHECK(a.order == b.order);
}

TEST_CASE("one stage trains at the origins alone", "[scheduler][planner]") {
  instance x;
  x.nodes.assign(2, {"n", "x", 2, 1});
  x.link_s.assign(4, 0.0);
  x.microbatches_per_origin = 3;
  x.stage_sizes = {2};
  for (strategy kind : {strategy::full, strategy::random, strategy::skippipe}) {
    planner_options options;
    options.kind = kind;
    options.time_limit_s = 0.05;
    const plan p = std::get<plan>(make_plan(x, options));
    CHECK(first(check_plan(x, p)) == "");
    CHECK(p.makespan_s == Approx(3 * 2 * 2.75));
  }
}

TEST_CASE("an infeasible problem is answered with reason and nearest setting",
          "[scheduler][planner]") {
  instance x = small();
  x.path_length = 4;
  auto result = make_plan(x, {});
  CHECK(std::get<infeasible>(result).reason == "path_length is 4, allowed are 1..3 with 3 stages");
  CHECK(std::get<infeasible>(result).nearest == "path_length = 3");
  x = small();
  x.nodes[2].memory = 0;
  result = make_plan(x, {});
  CHECK(std::get<infeasible>(result).reason == "node 2: memory is 0, a path needs one slot");
  x = small();
  x.stage_sizes = {2, 2, 1};
  result = make_plan(x, {});
  CHECK(std::get<infeasible>(result).reason == "stage_sizes: sum to 5, there are 4 nodes");
}

TEST_CASE("check_plan sees every broken rule", "[scheduler][planner]") {
  const instance x = small();
  planner_options options;
  options.kind = strategy::random;
  const plan good = std::get<plan>(make_plan(x, options));
  REQUIRE(check_plan(x, good).empty());
  plan bad = good;
  bad.makespan_s += 0.1;
  CHECK(first(check_plan(x, bad)).rfind("makespan: claimed", 0) == 0);
  bad = good;
  bad.paths.pop_back();
  CHECK(first(check_plan(x, bad)) == "paths: there are 3, required 4");
  bad = good;
  bad.arrangement = {{0, 1}, {2}, {2}};
  CHECK(first(check_plan(x, bad)) == "arrangement: node 2 is used twice");
  bad = good;
  for (path& p : bad.paths)
    p.hops = {{1, bad.arrangement[1][0]}};
  CHECK(first(check_plan(x, bad)) == "balance: stage 2 is visited 0 times, stage 1 4 times");
  bad = good;
  bad.paths[0].origin = bad.paths[1].origin;
  CHECK_FALSE(check_plan(x, bad).empty());
}

TEST_CASE("as few paths as are asked for are in flight at once", "[scheduler][dispatch]") {
  random_source random(3);
  int locked_up = 0;
  for (int i = 0; i < 1000; ++i) {
    instance x = random_instance(random);
    for (node_spec& n : x.nodes)
      n.memory = 1;
    planner_options options;
    options.kind = strategy::random;
    options.seed = random.below(1000);
    const auto made = make_plan(x, options);
    if (std::holds_alternative<infeasible>(made))
      continue;
    const plan& p = std::get<plan>(made);
    const auto all = dispatch(x, p.paths), single = dispatch(x, p.paths, 1);
    locked_up += !all;
    REQUIRE(single); // One after the other nothing can lock up.
    for (const auto& order : single->order)
      CHECK(std::is_sorted(order.begin(), order.end(), [](const auto& a, const auto& b) {
        return a.microbatch < b.microbatch;
      }));
    // What nodes do that take what is ready is never better than the plan, unless they lock up.
    if (all)
      CHECK(p.makespan_s <= simulate(x, p.paths, all->order).makespan_s + 1e-9);
  }
  CHECK(locked_up > 10);
}
