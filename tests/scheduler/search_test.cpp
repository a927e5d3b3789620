#include "scheduler/arrangement.hpp"
#include "scheduler/arrangement_estimate.hpp"
#include "scheduler/arrangement_search.hpp"
#include "scheduler/bounds.hpp"
#include "scheduler/check.hpp"
#include "scheduler/figures.hpp"
#include "scheduler/planner.hpp"
#include "scheduler/search_state.hpp"
#include "scheduler/simulator.hpp"

#include "generate.hpp"
#include "in_turn.hpp"
#include "tests/sanitized.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <limits>

using namespace skippipe;
using namespace skippipe::scheduler;
using skippipe::scheduler::testing::in_turn;
using skippipe::scheduler::testing::random_instance;

namespace {

std::string first(const std::vector<std::string>& lines) {
  return lines.empty() ? "" : lines.front();
}

planner_options steps(std::uint64_t count, std::uint64_t seed = 1) {
  planner_options options;
  options.time_limit_s = 600; // the steps end it
  options.max_iterations = count;
  options.seed = seed;
  return options;
}

} // namespace

/// Gradients to reduce over links of their own, about as long as the microbatches take.
void add_reductions(instance& x, random_source& random) {
  for (stage_id s = 0; s < x.stages; ++s)
    x.sync_bytes.push_back(30 * random.unit());
  for (std::size_t i = 0; i < x.link_s.size(); ++i) {
    x.latency_s.push_back(random.unit());
    x.bandwidth_Bps.push_back(0.5 + random.unit());
  }
}

constexpr int share_of_cases = one_case_in(10);

TEST_CASE("R2 R3 R4: what the search returns is valid, no bound exceeds it",
          "[scheduler][search]") {
  random_source random(17);
  for (int i = 0; i < 400 / share_of_cases; ++i) {
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
  const std::clock_t begin = std::clock(); // of the process, so that a busy machine does not count
  const plan p = std::get<plan>(make_plan(x, options));
  const std::clock_t took = std::clock() - begin;
  CHECK(first(check_plan(x, p)) == "");
  CHECK(took < CLOCKS_PER_SEC);
}

TEST_CASE("following only what changes gives the score of timing everything",
          "[scheduler][search]") {
  random_source random(23);
  int compared = 0;
  for (int i = 0; i < 300 / share_of_cases; ++i) {
    instance x = random_instance(random);
    if (i % 2 == 1)
      add_reductions(x, random);
    const auto result = make_plan(x, steps(200, random.next()));
    const plan* p = std::get_if<plan>(&result);
    if (p == nullptr || p->paths.front().hops.empty())
      continue;
    INFO("instance " << i);
    search_state state(x);
    state.load(*p);
    for (int trial = 0; trial < 20; ++trial) {
      // One microbatch goes through another node somewhere and asks for other times.
      const auto m = random.below(state.microbatches());
      const auto h = 1 + random.below(state.hops());
      std::vector<node_id> left{&state.hop_at(m, 0), &state.hop_at(m, 0) + state.hops() + 1};
      const node_id old = state.hop_at(m, h);
      const auto& peers = state.nodes_of[state.stage_of[old]];
      state.hop_at(m, h) = peers[random.below(static_cast<std::uint32_t>(peers.size()))];
      state.refresh(m);
      std::vector<double> wanted(std::size_t{state.microbatches()} * state.width(), 0);
      std::vector<std::uint8_t> is_moved(state.microbatches(), 0);
      is_moved[m] = 1;
      std::vector<search_state::task> moved;
      double ask =
          state.start[state.first_task(m)] + (random.unit() - 0.3) * state.value.seconds / 4;
      for (std::uint32_t s = 0; s < state.steps(); ++s) {
        const auto t = state.first_task(m) + s;
        wanted[t] = ask;
        moved.push_back(t);
        ask += state.seconds(t) * (1 + random.unit());
      }
      const auto seen =
          state.peek(moved, wanted, is_moved, left, std::numeric_limits<double>::infinity());
      if (seen) {
        const auto timed = state.time(in_turn(state, m, wanted), 0);
        REQUIRE(seen->seconds == Approx(timed.seconds).epsilon(1e-12));
        REQUIRE(seen->cost == Approx(timed.cost).epsilon(1e-12));
        ++compared;
      }
      state.hop_at(m, h) = old;
      state.refresh(m);
    }
  }
  CHECK(compared > 1000 / share_of_cases);
}

TEST_CASE("an arrangement is improved and stays one", "[scheduler][arrangement]") {
  random_source random(31);
  int better = 0;
  for (int i = 0; i < 100; ++i) {
    instance x = random_instance(random);
    x.arrangement.clear();
    const auto before = simple_arrangement(x);
    const auto after = improve_arrangement(
        x, before, 300, std::chrono::steady_clock::now() + std::chrono::seconds(10), random);
    arrangement_estimate estimate(x);
    const double first_value = estimate(before), value = estimate(after);
    REQUIRE(value <= first_value);
    better += value < first_value;
    REQUIRE(after.size() == before.size());
    std::vector<node_id> all;
    for (std::size_t s = 0; s < after.size(); ++s) {
      REQUIRE(after[s].size() == before[s].size());
      all.insert(all.end(), after[s].begin(), after[s].end());
    }
    std::sort(all.begin(), all.end());
    for (node_id n = 0; n < all.size(); ++n)
      REQUIRE(all[n] == n);
  }
  CHECK(better > 30);
}

TEST_CASE("few nodes change roles, for more than it costs", "[scheduler][arrangement]") {
  random_source random(37);
  constexpr double worth = 0.01;
  const auto late = std::chrono::steady_clock::now() + std::chrono::hours(1);
  int changed = 0, resized = 0;
  for (int i = 0; i < 200 / share_of_cases; ++i) {
    instance x = random_instance(random);
    if (x.stages < 2)
      continue;
    const auto before = simple_arrangement(x);
    x.arrangement.clear();
    const bool free_sizes = random.below(2) != 0;
    if (free_sizes)
      x.stage_sizes.clear();
    const stage_id needy = random.below(x.stages);
    std::vector<std::uint8_t> stays(x.nodes.size());
    for (auto& stay : stays)
      stay = random.below(3) == 0;
    const auto after = change_few_roles(x, before, needy, stays, worth, late);
    arrangement_estimate estimate(x);
    const double first_value = estimate(before), value = estimate(after);
    std::vector<int> seen(x.nodes.size(), 0);
    int moved = 0;
    INFO("instance " << i);
    REQUIRE(after.size() == before.size());
    for (stage_id s = 0; s < x.stages; ++s) {
      REQUIRE_FALSE(after[s].empty());
      REQUIRE((after[s].size() == before[s].size() || (free_sizes && s != 0)));
      resized += after[s].size() != before[s].size();
      for (const node_id n : after[s]) {
        ++seen[n];
        const bool moves = std::count(before[s].begin(), before[s].end(), n) == 0;
        moved += moves;
        REQUIRE_FALSE((moves && stays[n]));
      }
    }
    REQUIRE(std::count(seen.begin(), seen.end(), 1) == static_cast<std::ptrdiff_t>(seen.size()));
    REQUIRE(moved <= 4);
    // Two rounds: the second one's worth is a share of a smaller estimate.
    REQUIRE(value <= first_value * (1 - 0.9 * worth * moved) + 1e-12);
    changed += moved > 0;
    if (moved > 0)
      continue;
    auto other = before; // Then no trade was worth it.
    for (stage_id s = 0; s < x.stages; ++s)
      for (node_id& a : other[s])
        for (node_id& b : other[needy]) {
          if (s == needy || stays[a] || stays[b])
            continue;
          std::swap(a, b);
          REQUIRE(estimate(other) >= first_value * (1 - 2 * worth) - 1e-12);
          std::swap(a, b);
        }
  }
  CHECK(changed > 60 / share_of_cases);
  CHECK(resized > 10 / share_of_cases);
}

TEST_CASE("the search minimises the iteration with its gradient reduction", "[scheduler][search]") {
  random_source random(47);
  double aware = 0, unaware = 0;
  for (int i = 0; i < 40; ++i) { // A comparison: a share of them says nothing.
    instance x = random_instance(random);
    if (x.stages < 2)
      continue;
    x.arrangement.clear();
    instance plain = x;
    add_reductions(x, random);
    planner_options two_starts = steps(2000);
    two_starts.threads = 2;
    const auto result = make_plan(x, two_starts), blind = make_plan(plain, two_starts);
    const plan* p = std::get_if<plan>(&result);
    if (p == nullptr)
      continue;
    INFO("instance " << i);
    REQUIRE(first(check_plan(x, *p)) == "");
    REQUIRE(p->makespan_s == Approx(simulate(x, p->paths, p->order).makespan_s));
    aware += std::log(predicted_seconds(x, *p));
    unaware += std::log(predicted_seconds(x, std::get<plan>(blind)));
  }
  CHECK(aware < unaware);
}

TEST_CASE("replicas that reduce much gather where links are fast", "[scheduler][arrangement]") {
  // Two regions; nodes of both alternate, so that no simple arrangement has them apart.
  instance x;
  x.stages = 2;
  x.path_length = 2;
  x.microbatches_per_origin = 2;
  x.stage_sizes = {5, 5};
  x.sync_bytes = {4e9, 4e9};
  for (node_id a = 0; a < 10; ++a) {
    x.nodes.push_back({"n" + std::to_string(a), a % 2 ? "east" : "west", 1.0, 2});
    for (node_id b = 0; b < 10; ++b) {
      const bool near = a % 2 == b % 2;
      x.link_s.push_back(a == b ? 0 : near ? 0.01 : 2.0);
      x.latency_s.push_back(near ? 0.001 : 0.1);
      x.bandwidth_Bps.push_back(near ? 1e9 : 1e7);
    }
  }
  const plan p = std::get<plan>(make_plan(x, steps(3000)));
  for (const auto& nodes : p.arrangement)
    for (const node_id n : nodes)
      CHECK(x.nodes[n].location == x.nodes[nodes.front()].location);
  x.sync_bytes.clear(); // Then ways within a region are shorter.
  const plan q = std::get<plan>(make_plan(x, steps(3000)));
  CHECK(q.makespan_s < p.makespan_s);
}
