// The problem that is left when nodes are gone, and its plans in the old ids.
#include "scheduler/check.hpp"
#include "scheduler/path_rules.hpp"
#include "scheduler/planner.hpp"
#include "scheduler/replan.hpp"
#include "scheduler/simulator.hpp"
#include "scheduler/survivors.hpp"

#include "generate.hpp"
#include "tests/sanitized.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>

using namespace skippipe;
using namespace skippipe::scheduler;

namespace {

planner_options at_random(std::uint64_t seed) {
  planner_options options;
  options.kind = strategy::random;
  options.seed = seed;
  return options;
}

/// Everything optional filled in, each number different.
void fill(instance& x, random_source& random) {
  const auto n = x.nodes.size();
  for (std::size_t i = 0; i < n * x.stages; ++i)
    x.node_stage_s.push_back({1 + random.unit(), random.unit(), 1 + random.unit()});
  for (std::size_t i = 0; i < n * n; ++i) {
    x.latency_s.push_back(random.unit());
    x.bandwidth_Bps.push_back(1e6 * (1 + random.unit()));
  }
}

/// Nodes to lose: any, as long as each stage keeps one.
std::set<node_id> some_gone(const plan& running, random_source& random) {
  std::set<node_id> gone;
  for (const auto& stage : running.arrangement)
    for (std::size_t i = 1; i < stage.size(); ++i)
      if (random.below(2))
        gone.insert(stage[i]);
  return gone;
}

std::vector<std::vector<stage_id>> routes_of(const plan& p) {
  std::vector<std::vector<stage_id>> result;
  for (const path& x : p.paths) {
    auto& route = result.emplace_back();
    for (const hop& h : x.hops)
      route.push_back(h.stage);
  }
  return result;
}

/// `wide` in the ids of the smaller instance.
plan in_new_ids(const survivors& left, plan wide) {
  for (auto& stage : wide.arrangement)
    for (node_id& node : stage)
      node = left.new_id[node];
  for (path& p : wide.paths) {
    p.origin = left.new_id[p.origin];
    for (hop& h : p.hops)
      h.node = left.new_id[h.node];
  }
  auto order = std::move(wide.order);
  wide.order.clear();
  for (const node_id node : left.old_id)
    wide.order.push_back(order[node]);
  return wide;
}

constexpr int share_of_cases = one_case_in(5);

} // namespace

TEST_CASE("R5 R12: survivors keep stages, microbatches and routes", "[scheduler][survivors]") {
  random_source random(5);
  int lost = 0, origins_lost = 0;
  for (int i = 0; i < 500; ++i) {
    INFO("case " << i);
    instance x = testing::random_instance(random);
    fill(x, random);
    const auto made = make_plan(x, at_random(random.below(1000)));
    const plan* running = std::get_if<plan>(&made);
    if (running == nullptr)
      continue;
    const auto gone = some_gone(*running, random);
    const auto left = without_nodes(x, *running, gone);
    const auto n = x.nodes.size(), m = left.old_id.size();
    REQUIRE(m + gone.size() == n);
    REQUIRE(check_instance(left.problem) == std::vector<std::string>{});

    // Whatever was known of nodes and links is known of the same ones.
    for (node_id a = 0; a < m; ++a) {
      const auto was = left.old_id[a];
      REQUIRE_FALSE(gone.contains(was));
      REQUIRE(left.problem.nodes[a].name == x.nodes[was].name);
      for (stage_id s = 0; s < x.stages; ++s)
        REQUIRE(left.problem.costs(a, s).forward_s == x.costs(was, s).forward_s);
      for (node_id b = 0; b < m; ++b) {
        const auto old = was * n + left.old_id[b];
        REQUIRE(left.problem.link(a, b) == x.link_s[old]);
        REQUIRE(left.problem.latency_s[a * m + b] == x.latency_s[old]);
        REQUIRE(left.problem.bandwidth_Bps[a * m + b] == x.bandwidth_Bps[old]);
      }
    }

    auto again = make_plan(left.problem, at_random(7));
    REQUIRE(std::holds_alternative<plan>(again));
    const auto& small = std::get<plan>(again);
    REQUIRE(check_plan(left.problem, small) == std::vector<std::string>{});
    const auto wide = in_old_ids(left, small, n);
    REQUIRE(routes_of(wide) == routes_of(*running));
    REQUIRE(wide.order.size() == n);
    for (node_id node = 0; node < n; ++node)
      REQUIRE(wide.order[node].empty() >= gone.contains(node));
    for (stage_id s = 0; s < x.stages; ++s)
      for (auto node : running->arrangement[s]) {
        const auto& now = wide.arrangement[s];
        REQUIRE((std::find(now.begin(), now.end(), node) == now.end()) == gone.contains(node));
      }
    for (const path& p : wide.paths) {
      REQUIRE_FALSE(gone.contains(p.origin));
      for (const hop& h : p.hops)
        REQUIRE_FALSE(gone.contains(h.node));
    }
    // A second loss starts from the new plan and the first instance.
    auto more = gone;
    for (const auto& stage : wide.arrangement)
      if (stage.size() > 1)
        more.insert(stage[0]);
    const auto fewer = without_nodes(x, wide, more);
    REQUIRE(fewer.old_id.size() == n - more.size());
    REQUIRE(fewer.problem.routes == left.problem.routes);
    lost += static_cast<int>(gone.size());
    for (auto node : running->arrangement[0])
      origins_lost += gone.contains(node);
  }
  CHECK(lost > 500);
  CHECK(origins_lost > 100);
}

TEST_CASE("R2 R3 R4 R12: every strategy plans again for the survivors", "[scheduler][survivors]") {
  random_source random(11);
  int planned = 0, kept = 0, changed = 0, uneven = 0;
  for (int i = 0; i < 600 / share_of_cases; ++i) {
    INFO("case " << i);
    instance x = testing::random_instance(random);
    if (random.below(3) == 0)
      x.routes = deterministic_routes(x.stages, x.path_length, x.limits, 1 + random.below(12), 3);
    planner_options options;
    options.kind = std::array{strategy::full, strategy::random, strategy::no_collision,
                              strategy::cbs, strategy::skippipe}[random.below(5)];
    options.seed = random.below(1000);
    options.time_limit_s = 10;
    options.max_iterations = 50;
    const auto made = make_plan(x, options);
    const plan* running = std::get_if<plan>(&made);
    if (running == nullptr)
      continue;
    const auto gone = some_gone(*running, random);
    const auto result = plan_again(x, *running, gone, options);
    const plan* again = std::get_if<plan>(&result);
    REQUIRE(again != nullptr);
    auto left = without_nodes(x, *running, gone);
    const bool same_routes = routes_of(*again) == routes_of(*running);
    REQUIRE((same_routes || (x.routes.empty() && options.kind != strategy::full)));
    if (!same_routes) {
      left.problem.routes.clear();
      left.problem.path_length = x.path_length;
      left.problem.microbatches = static_cast<std::uint32_t>(running->paths.size());
    }
    REQUIRE(check_plan(left.problem, in_new_ids(left, *again)) == std::vector<std::string>{});
    REQUIRE(again->strategy == running->strategy);
    auto stays = running->arrangement;
    for (auto& stage : stays)
      std::erase_if(stage, [&](node_id node) { return gone.contains(node); });
    REQUIRE(again->arrangement == stays);
    ++planned;
    kept += same_routes;
    changed += !same_routes;
    uneven += running->paths.size() % stays[0].size() != 0;
  }
  CHECK(planned > 500 / share_of_cases);
  CHECK(kept > 50 / share_of_cases);
  CHECK(changed > 20 / share_of_cases);
  CHECK(uneven > 50 / share_of_cases);
}

TEST_CASE("a searched plan is made from the running one, given routes or not",
          "[scheduler][survivors]") {
  random_source random(12);
  int given = 0;
  for (int i = 0; i < 200 / share_of_cases; ++i) {
    INFO("case " << i);
    instance x = testing::random_instance(random);
    if (random.below(2))
      x.routes = deterministic_routes(x.stages, x.path_length, x.limits, 1 + random.below(12), 3);
    planner_options options;
    options.kind = random.below(3) ? strategy::skippipe : strategy::full;
    options.time_limit_s = 10;
    options.max_iterations = 500;
    const auto made = make_plan(x, options);
    const plan* running = std::get_if<plan>(&made);
    if (running == nullptr)
      continue;
    for (auto& node : x.nodes) // Then everything is worth another plan.
      node.compute_s *= 0.5 + random.unit();
    options.max_iterations = 1;
    const auto result = plan_again(x, *running, {}, options);
    REQUIRE(std::get<plan>(result).makespan_s
            <= simulate(x, running->paths, running->order).makespan_s * (1 + 1e-9));
    given += !x.routes.empty();
  }
  CHECK(given > 50 / share_of_cases);
}
