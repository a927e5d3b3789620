#include "scheduler/path_rules.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

using namespace skippipe;
using namespace skippipe::scheduler;

namespace {

bool balanced(const std::vector<route>& routes, std::uint32_t stages) {
  std::vector<std::uint32_t> visits(stages, 0);
  for (const route& r : routes)
    for (stage_id s : r)
      ++visits[s];
  if (stages < 2)
    return true;
  const auto [least, most] = std::minmax_element(visits.begin() + 1, visits.end());
  return *most - *least <= 1;
}

} // namespace

TEST_CASE("R2: every limit of a route is checked", "[scheduler][rules]") {
  const route_rules rules{8, 5, {}};
  CHECK_FALSE(route_problem({1, 2, 3, 4}, rules));
  CHECK_FALSE(route_problem({2, 1, 4, 3}, rules));
  CHECK(route_problem({1, 2, 3}, rules).value() == "visits 4 stages, path_length is 5");
  CHECK(route_problem({1, 2, 3, 8}, rules).value() == "visits stage 8, allowed are 1..7");
  CHECK(route_problem({1, 0, 2, 3}, rules).value() == "visits stage 0, allowed are 1..7");
  CHECK(route_problem({1, 2, 2, 3}, rules).value() == "visits stage 2 twice");
  CHECK(route_problem({5, 6, 4, 7}, rules).value()
        == "jumps 5 stages from frontier 0 to stage 5, max_jump is 4");
  CHECK(route_problem({3, 1, 2, 4}, rules).value()
        == "has a swap of distance 2, max_swap_distance is 1");
  CHECK(route_problem({2, 1, 4, 3, 6, 5}, {8, 7, {}}).value() == "has 3 swaps, max_swaps is 2");
  CHECK(route_problem({3, 1, 4, 2}, {8, 5, {2, 2, 3, 4}}).value()
        == "has swap distances of 4 in sum, max_total_swap_distance is 3");
}

TEST_CASE("R2: routes are counted and enumerated alike", "[scheduler][rules]") {
  // Ordered pairs of stages 1..3: 6; {3,1} swaps by 2 and so falls away.
  CHECK(count_routes({4, 3, {}}, 1000) == 5);
  CHECK(count_routes({4, 3, {}}, 3) == 3);
  CHECK(count_routes({1, 1, {}}, 1000) == 1);
  CHECK(count_routes({4, 5, {}}, 1000) == 0);
  std::set<route> seen;
  enumerate_routes({7, 4, {2, 2, 3, 3}}, [&](const route& r) {
    CHECK_FALSE(route_problem(r, {7, 4, {2, 2, 3, 3}}));
    CHECK(seen.insert(r).second);
    return true;
  });
  CHECK(seen.size() == count_routes({7, 4, {2, 2, 3, 3}}, 100000));
}

TEST_CASE("R2: random orders reach every feasible order of a set", "[scheduler][rules]") {
  const std::vector<stage_id> set{1, 2, 3, 4, 5};
  const path_limits limits{2, 2, 3, 4};
  std::set<route> feasible, drawn;
  enumerate_routes({6, 6, limits}, [&](const route& r) { return feasible.insert(r).second; });
  random_source random(7);
  for (int i = 0; i < 5000; ++i)
    drawn.insert(random_order(set, limits, random));
  CHECK(drawn == feasible);
}

TEST_CASE("R2 R3: balanced routes exist exactly where sets of stages allow it",
          "[scheduler][rules]") {
  random_source random(1);
  int found = 0;
  for (int i = 0; i < 3000; ++i) {
    const route_rules rules{
        1 + random.below(12),
        1 + random.below(12),
        {random.below(4), random.below(3), random.below(5), 1 + random.below(5)}};
    const std::uint32_t count = 1 + random.below(40);
    const auto routes = balanced_routes(rules, count, random);
    REQUIRE(routes.has_value() != route_infeasibility(rules, count).has_value());
    if (!routes)
      continue;
    ++found;
    REQUIRE(routes->size() == count);
    REQUIRE(balanced(*routes, rules.stages));
    for (const route& r : *routes)
      REQUIRE_FALSE(route_problem(r, rules));
  }
  CHECK(found > 900);
}

TEST_CASE("R3: the nearest setting of an infeasible problem is feasible", "[scheduler][rules]") {
  route_rules rules{20, 4, {}};
  const auto conflict = route_infeasibility(rules, 10);
  REQUIRE(conflict);
  CHECK(conflict->reason
        == "paths of 4 stages with max_jump 4 cannot visit stages 1..19 equally often");
  CHECK(conflict->nearest == "max_jump = 7");
  rules.limits.max_jump = 6;
  CHECK(route_infeasibility(rules, 10));
  rules.limits.max_jump = 7;
  CHECK_FALSE(route_infeasibility(rules, 10));
}

TEST_CASE("R12: deterministic routes depend on nothing but their arguments", "[scheduler][rules]") {
  const auto routes = deterministic_routes(6, 4, {}, 30, 42);
  CHECK(routes == deterministic_routes(6, 4, {}, 30, 42));
  CHECK(routes != deterministic_routes(6, 4, {}, 30, 43));
  CHECK(balanced(routes, 6));
  std::uint32_t swapped = 0;
  std::set<route> different(routes.begin(), routes.end());
  for (const route& r : routes)
    swapped += !std::is_sorted(r.begin(), r.end());
  CHECK(swapped >= 5);
  CHECK(swapped <= 28);
  CHECK(different.size() >= 10);
  // Pinned: the same on every platform and in every later version.
  CHECK(deterministic_routes(5, 3, {}, 4, 1) == std::vector<route>{{4, 3}, {2, 3}, {1, 2}, {1, 4}});
}

TEST_CASE("R12: a full path length gives all stages in order", "[scheduler][rules]") {
  CHECK(deterministic_routes(4, 4, {}, 2, 9) == std::vector<route>{{1, 2, 3}, {1, 2, 3}});
  CHECK(deterministic_routes(1, 1, {}, 2, 9) == std::vector<route>{{}, {}});
  CHECK(deterministic_routes(4, 5, {}, 2, 9).empty());
  CHECK(deterministic_routes(4, 2, {}, 0, 9).empty());
}
