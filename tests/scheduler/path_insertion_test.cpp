#include "scheduler/path_insertion.hpp"

#include "scheduler/planner.hpp"

#include "generate.hpp"
#include "in_turn.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <limits>

using namespace skippipe;
using namespace skippipe::scheduler;
using skippipe::scheduler::testing::in_turn;
using skippipe::scheduler::testing::random_instance;
using task = search_state::task;

namespace {

/// Two origins that share the only node of stage 1; F, L and B take 1, 0.25 and 1.5 s, links nothing.
instance shared_node() {
  instance x;
  x.nodes.resize(3);
  for (node_spec& n : x.nodes)
    n.memory = 2;
  x.stages = x.path_length = 2;
  x.microbatches_per_origin = 1;
  x.stage_sizes = {2, 1};
  x.arrangement = {{0, 1}, {2}};
  x.link_s.assign(9, 0);
  x.node_stage_s.assign(6, {1, 0.25, 1.5});
  return x;
}

} // namespace

TEST_CASE("a microbatch goes ahead of a task that may be delayed", "[scheduler][search]") {
  instance x = shared_node();
  const double reduction_s = GENERATE(0, 20);
  if (reduction_s > 0) { // Of stage 0, the halves there and back at 1 byte a second.
    x.sync_bytes = {reduction_s, 0};
    x.latency_s.assign(9, 0);
    x.bandwidth_Bps.assign(9, 1);
  }
  plan p;
  p.arrangement = x.arrangement;
  p.paths = {{0, 0, {{1, 2}}}, {1, 1, {{1, 2}}}};
  const auto all = [](microbatch_id m) {
    return std::vector<planned_task>{
        {m, task_kind::forward}, {m, task_kind::loss}, {m, task_kind::backward}};
  };
  // Microbatch 1 has node 2 first: forward at 1 s, backward from 2.25 to 3.75 s.
  p.order = {all(0),
             all(1),
             {{1, task_kind::forward},
              {1, task_kind::backward},
              {0, task_kind::forward},
              {0, task_kind::backward}}};
  search_state state(x);
  state.load(p);
  REQUIRE(state.value.seconds == Approx(8 + reduction_s));
  path_insertion insertion(state);
  insertion.load();
  path_insertion::choice c;
  c.allowed = c.required = 1U << 1;
  const auto found = [&](double limit) {
    random_source random(3);
    insertion.begin();
    insertion.remove(0);
    insertion.allow_delays(limit);
    const auto* way = insertion.find(0, 0, c, random);
    REQUIRE(way != nullptr);
    return *way;
  };
  // Alone, microbatch 1 takes until 5.25 s: nothing may be delayed then.
  for (const double limit : {0.0, 5.25 + reduction_s}) {
    const auto way = found(limit);
    CHECK(way.start[1] == Approx(3.75));
    CHECK(way.finish == Approx(8));
  }
  const auto way = found(20 + reduction_s);
  CHECK(way.start[1] == Approx(1));
  std::vector<double> wanted(state.start.size(), 0);
  std::copy(way.turn.begin(), way.turn.end(), &wanted[state.first_task(0)]);
  const auto order = in_turn(state, 0, wanted);
  CHECK(std::find(order.begin(), order.end(), state.first_task(0) + 1)
        < std::find(order.begin(), order.end(), state.first_task(1) + 1));
  CHECK(state.time(order, 0).seconds < 8 + reduction_s);
}

TEST_CASE("R4: a way that delays others keeps every slot, and finds more", "[scheduler][search]") {
  random_source random(29);
  int ways = 0, only_with_delays = 0, sooner = 0;
  for (int i = 0; i < 100; ++i) {
    const instance x = random_instance(random);
    planner_options options;
    options.kind = strategy::random; // Quick, with time to spare.
    options.seed = random.next();
    const auto result = make_plan(x, options);
    const plan* p = std::get_if<plan>(&result);
    if (p == nullptr || p->paths.front().hops.empty())
      continue;
    INFO("instance " << i);
    search_state state(x);
    state.load(*p);
    path_insertion insertion(state);
    insertion.load();
    for (int trial = 0; trial < 20; ++trial) {
      const microbatch_id m = random.below(state.microbatches());
      std::vector<node_id> left{&state.hop_at(m, 0), &state.hop_at(m, 0) + state.hops() + 1};
      path_insertion::choice c;
      c.limit = state.value.seconds;
      for (std::size_t h = 1; h < left.size(); ++h)
        c.allowed |= std::uint64_t{1} << state.stage_of[left[h]];
      c.required = c.allowed;
      const auto find = [&](double limit) {
        insertion.begin();
        insertion.remove(m);
        insertion.allow_delays(limit);
        return insertion.find(left[0], 0, c, random);
      };
      const bool without = find(0) != nullptr;
      const auto* way = find(state.value.seconds);
      if (way == nullptr)
        continue;
      ++ways;
      only_with_delays += !without;
      std::copy(way->hops.begin(), way->hops.end(), &state.hop_at(m, 0));
      state.refresh(m);
      std::vector<task> moved;
      std::vector<double> wanted(state.start.size(), 0);
      for (std::uint32_t s = 0; s < state.steps(); ++s) {
        moved.push_back(state.first_task(m) + s);
        wanted[moved.back()] = way->turn[s];
        REQUIRE((s == 0 || way->turn[s] >= way->turn[s - 1]));
        // What has its turn before is over before.
        for (const auto& b : state.calendar(state.node_of(moved.back())))
          REQUIRE((b.owner == m || b.start >= way->turn[s] || b.end <= way->start[s] + 1e-9));
      }
      std::vector<std::uint8_t> is_moved(state.microbatches(), 0);
      is_moved[m] = 1;
      const auto seen =
          state.peek(moved, wanted, is_moved, left, std::numeric_limits<double>::infinity());
      REQUIRE(seen); // Nothing lacks a slot.
      REQUIRE(seen->seconds
              == Approx(state.time(in_turn(state, m, wanted), 0).seconds).epsilon(1e-12));
      sooner += seen->seconds < state.value.seconds - 1e-9;
      std::copy(left.begin(), left.end(), &state.hop_at(m, 0));
      state.refresh(m);
    }
  }
  CHECK(ways > 500);
  CHECK(only_with_delays > 50);
  CHECK(sooner > 5);
}
