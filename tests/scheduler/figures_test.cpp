// What plans amount to, and sends that share an interface, by hand.
#include "scheduler/bounds.hpp"
#include "scheduler/figures.hpp"
#include "scheduler/planner.hpp"
#include "scheduler/simulator.hpp"

#include <catch2/catch.hpp>

using namespace skippipe;
using namespace skippipe::scheduler;

namespace {

/// One origin and two relays of one stage, two microbatches that each take one of the relays; F takes 1 s,
/// every link 5 s.
instance two_relays() {
  instance x;
  x.stages = 2;
  x.path_length = 2;
  x.stage_sizes = {1, 2};
  x.arrangement = {{0}, {1, 2}};
  x.microbatches_per_origin = 2;
  x.nodes.assign(3, {"n", "x", 1, 2});
  x.link_s = {0, 5, 5, 5, 0, 5, 5, 5, 0};
  return x;
}

} // namespace

TEST_CASE("sends of one node share its interface when asked to", "[scheduler][simulator]") {
  instance x = two_relays();
  const std::vector<path> paths{{0, 0, {{1, 1}}}, {1, 0, {{1, 2}}}};
  using enum task_kind;
  const std::vector<std::vector<planned_task>> order{
      {{0, forward}, {1, forward}, {0, loss}, {1, loss}, {0, backward}, {1, backward}},
      {{0, forward}, {0, backward}},
      {{1, forward}, {1, backward}}};
  const auto arrives = [&](bool contention) {
    const simulation timed = simulate(x, paths, order, {contention});
    REQUIRE(timed.violations.empty());
    CHECK(timed.start[0][1] == 6); // Nothing is before it.
    return timed.start[1][1];
  };
  CHECK(arrives(false) == 7);
  CHECK(arrives(true) == 11); // The first one occupies the interface from 1 to 6.
  x.latency_s.assign(9, 1);   // What travels no longer occupies it.
  CHECK(arrives(true) == 10);
}

TEST_CASE("origins that hold all others up are named, and what to do", "[scheduler][figures]") {
  instance x = two_relays();
  x.link_s.assign(9, 0.01);
  x.microbatches_per_origin = 6;
  planner_options options;
  options.max_iterations = 200;
  options.time_limit_s = 10;
  x.stage_cost = {4, 1};
  const plan heavy = std::get<plan>(make_plan(x, options));
  const std::string advice = origin_advice(x, heavy);
  CHECK(advice.find("origins are the bottleneck") != std::string::npos);
  CHECK(advice.find("fewer layers") != std::string::npos);
  x.stage_cost = {0.5, 1};
  const plan light = std::get<plan>(make_plan(x, options));
  CHECK(origin_advice(x, light) == "");
}

TEST_CASE("planning takes as long as an iteration at least does, within limits", "[scheduler]") {
  instance x = two_relays();
  const double least = lower_bound(x).iteration_s;
  REQUIRE(least > 20);
  CHECK(worthwhile_seconds(x) == 10);
  CHECK(worthwhile_seconds(x, 4) == Approx(least / 4));
  CHECK(worthwhile_seconds(x, 1000) == 1);
  const plan running = std::get<plan>(make_plan(x, {}));
  const double iteration = predicted_seconds(x, running);
  CHECK(hurried_seconds(x, running) == Approx(0.02 * iteration));
  CHECK(hurried_seconds(x, running, 10) == Approx(0.002 * iteration));
  CHECK(hurried_seconds(x, running, 1000) == 0.02);
  CHECK(hurried_seconds(x, running, 0.001) == 1);
  x.limits.max_jump = 0; // No plan: nothing to look for.
  CHECK(worthwhile_seconds(x) == 1);
}
