#include "scheduler/arrangement.hpp"
#include "scheduler/bounds.hpp"
#include "scheduler/check.hpp"
#include "scheduler/planner.hpp"

#include "generate.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>

using namespace skippipe;
using namespace skippipe::scheduler;
using skippipe::scheduler::testing::random_instance;

namespace {

std::string first(const std::vector<std::string>& lines) {
  return lines.empty() ? "" : lines.front();
}

planner_options steps(std::uint64_t count, std::uint64_t seed = 1) {
  planner_options options;
  options.time_limit_s = 30;
  options.max_iterations = count;
  options.seed = seed;
  return options;
}

} // namespace

TEST_CASE("R2 R3 R4: what the search returns is valid, no bound exceeds it",
          "[scheduler][search]") {
  random_source random(17);
  for (int i = 0; i < 400; ++i) {
    instance x = random_instance(random);
    const auto result = make_plan(x, steps(1500, random.next()));
    const plan* p = std::get_if<plan>(&result);
    if (p == nullptr)
      continue;
    INFO("instance " << i);
    REQUIRE(first(check_plan(x, *p)) == "");
    const lower_bounds bounds = lower_bound(x);
    REQUIRE(bounds.origin_slots_s <= p->makespan_s * (1 + 1e-9));
    REQUIRE(bounds.stage_work_s <= p->makespan_s * (1 + 1e-9));
  }
}

TEST_CASE("R12: with given routes only nodes and order are planned", "[scheduler][search]") {
  random_source random(18);
  for (int i = 0; i < 150; ++i) {
    instance x = random_instance(random);
    const auto any = make_plan(x, [&] {
      planner_options o;
      o.kind = strategy::random;
      return o;
    }());
    const plan* p = std::get_if<plan>(&any);
    if (p == nullptr)
      continue;
    for (const path& way : p->paths) {
      x.routes.emplace_back();
      for (const hop& h : way.hops)
        x.routes.back().push_back(h.stage);
    }
    const auto planned = make_plan(x, steps(1500));
    REQUIRE(first(check_plan(x, std::get<plan>(planned))) == "");
    // A lost origin leaves an odd number of microbatches to the others.
    x.routes.push_back(x.routes.front());
    const auto odd = make_plan(x, steps(200));
    if (const plan* q = std::get_if<plan>(&odd))
      REQUIRE(first(check_plan(x, *q)) == "");
  }
}

TEST_CASE("same seed and steps give the same plan, on several threads, too",
          "[scheduler][search]") {
  random_source random(19);
  const instance x = random_instance(random, 6, 3);
  planner_options options = steps(4000, 5);
  options.threads = 2;
  const plan a = std::get<plan>(make_plan(x, options));
  const plan b = std::get<plan>(make_plan(x, options));
  CHECK(a.paths == b.paths);
  CHECK(a.order == b.order);
  CHECK(a.makespan_s == b.makespan_s);
}

TEST_CASE("a small running job gets its plan within the limit", "[scheduler][search]") {
  instance x;
  x.stages = 3;
  x.path_length = 2;
  x.microbatches_per_origin = 4;
  x.stage_sizes = {2, 2, 2};
  for (int i = 0; i < 6; ++i)
    x.nodes.push_back({"n", "x", 1.0 + i * 0.1, 2});
  x.link_s.assign(36, 0.1);
  planner_options options;
  options.time_limit_s = 0.2;
  const auto begin = std::chrono::steady_clock::now();
  const plan p = std::get<plan>(make_plan(x, options));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  CHECK(first(check_plan(x, p)) == "");
  CHECK(took.count() < 1);
}
