// What must hold for every plan of every strategy, on random problems, judged by independent.cpp.
#include "scheduler/arrangement.hpp"
#include "scheduler/check.hpp"
#include "scheduler/path_rules.hpp"
#include "scheduler/planner.hpp"
#include "scheduler/simulator.hpp"

#include "independent.hpp"
#include "tests/sanitized.hpp"

#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include <sstream>

using namespace skippipe;
using namespace skippipe::scheduler;
using skippipe::scheduler::testing::broken_path_rule;
using skippipe::scheduler::testing::broken_rule;
using skippipe::scheduler::testing::slow_simulation;
using skippipe::scheduler::testing::timed_task;

namespace {

constexpr int share_of_cases = one_case_in(10);

/// Checks `cases` random cases, always the same ones.
template <class Property>
void holds(int cases, Property&& property) {
  rc::detail::TestParams params;
  params.seed = 20261123;
  params.maxSuccess = cases / share_of_cases;
  const rc::detail::TestResult result = rc::detail::checkTestable(
      std::forward<Property>(property), rc::detail::TestMetadata{}, params);
  std::ostringstream text;
  rc::detail::printResultMessage(result, text);
  INFO(text.str());
  CHECK(result.is<rc::detail::SuccessResult>());
}

/// Hundredths from `least` to `most`.
double between(double least, double most) {
  return *rc::gen::inRange(int(least * 100), int(most * 100) + 1) / 100.0;
}

std::uint32_t upto(std::uint32_t least, std::uint32_t most) {
  return *rc::gen::inRange(least, most + 1);
}

/// Up to 6 stages of up to 3 nodes; fixed, sized or free arrangements; costs by node, by stage or measured;
/// limits from strict to slack.
instance any_instance() {
  instance x;
  x.name = "any";
  x.stages = upto(1, 6);
  for (stage_id s = 0; s < x.stages; ++s)
    x.stage_sizes.push_back(upto(1, 3));
  std::uint32_t count = 0;
  for (const std::uint32_t size : x.stage_sizes)
    count += size;
  for (node_id n = 0; n < count; ++n)
    x.nodes.push_back({"n" + std::to_string(n), "x", between(0.5, 3), upto(1, 4)});
  for (std::uint32_t i = 0; i < count * count; ++i)
    x.link_s.push_back(i % (count + 1) == 0 ? 0 : between(0, 4));
  x.path_length = x.stages == 1 ? 1 : upto(2, x.stages);
  x.microbatches_per_origin = upto(1, 5);
  if (upto(0, 4) == 0)
    x.microbatches = upto(1, 12);
  x.limits = {upto(0, 3), upto(0, 3), upto(0, 4), upto(1, 6)};
  if (upto(0, 3) == 0)
    for (std::uint32_t i = 0; i < count * x.stages; ++i)
      x.node_stage_s.push_back({between(0.5, 2), between(0.01, 1), between(0.5, 3)});
  else if (upto(0, 2) == 0)
    for (stage_id s = 0; s < x.stages; ++s)
      x.stage_cost.push_back(between(0.5, 2));
  const std::uint32_t given = upto(0, 2);
  if (given == 0)
    x.arrangement = simple_arrangement(x);
  else if (given == 1)
    x.stage_sizes.clear();
  return x;
}

planner_options any_options() {
  planner_options options;
  options.kind = *rc::gen::element(strategy::full, strategy::random, strategy::no_collision,
                                   strategy::cbs, strategy::skippipe);
  options.seed = *rc::gen::arbitrary<std::uint64_t>();
  options.threads = upto(1, 2);
  options.time_limit_s = 60;
  options.max_iterations = upto(1, 400);
  return options;
}

/// A plan of a random problem; what cannot be planned is discarded after a look at the reason.
plan any_plan(instance& x, planner_options& options) {
  x = any_instance();
  options = any_options();
  const auto result = make_plan(x, options);
  if (const auto* why = std::get_if<infeasible>(&result)) {
    RC_ASSERT(why->nearest.rfind("max_jump = ", 0) == 0);
    RC_DISCARD("infeasible");
  }
  return std::get<plan>(result);
}

bool near(double a, double b) { return std::abs(a - b) <= 1e-9 * std::max(1.0, std::abs(a)); }

bool same_times(const simulation& fast, const std::vector<timed_task>& slow) {
  std::size_t at = 0;
  double makespan = 0;
  for (std::size_t i = 0; i < fast.start.size(); ++i)
    for (std::size_t s = 0; s < fast.start[i].size(); ++s, ++at) {
      if (at >= slow.size() || !near(fast.start[i][s], slow[at].start)
          || !near(fast.end[i][s], slow[at].end))
        return false;
      makespan = std::max(makespan, slow[at].end);
    }
  return at == slow.size() && near(makespan, fast.makespan_s);
}

} // namespace

TEST_CASE("R2 R3 R4: every strategy's plan keeps the rules and ends, by another clock",
          "[scheduler][properties]") {
  holds(1500, [] {
    instance x;
    planner_options options;
    const plan p = any_plan(x, options);
    const auto times = slow_simulation(x, p);
    RC_ASSERT(times.has_value());
    RC_ASSERT(broken_rule(x, p, *times) == "");
    const auto timed = simulate(x, p.paths, p.order);
    RC_ASSERT(timed.violations.empty());
    RC_ASSERT(same_times(timed, *times));
    RC_ASSERT(near(timed.makespan_s, p.makespan_s));
    RC_ASSERT(check_plan(x, p).empty());
  });
}

TEST_CASE("R12: the same seed gives the same plan, whatever the strategy",
          "[scheduler][properties]") {
  holds(300, [] {
    instance x;
    planner_options options;
    const plan a = any_plan(x, options);
    const plan b = std::get<plan>(make_plan(x, options));
    RC_ASSERT(a.arrangement == b.arrangement);
    RC_ASSERT(a.paths == b.paths);
    RC_ASSERT(a.order == b.order);
    RC_ASSERT(a.makespan_s == b.makespan_s);
  });
}

TEST_CASE("R12: given routes are kept, nodes and order are planned", "[scheduler][properties]") {
  holds(300, [] {
    instance x = any_instance();
    const std::uint32_t count =
        stage_sizes(x)[0] * x.microbatches_per_origin + (x.stages > 1 ? upto(0, 1) : 0);
    x.routes = deterministic_routes(x.stages, x.path_length, x.limits, count, upto(0, 1000));
    RC_PRE(!x.routes.empty() && x.stages > 1);
    planner_options options = any_options();
    options.kind = *rc::gen::element(strategy::random, strategy::no_collision, strategy::cbs,
                                     strategy::skippipe);
    const plan p = std::get<plan>(make_plan(x, options));
    RC_ASSERT(p.paths.size() == x.routes.size());
    for (std::size_t i = 0; i < p.paths.size(); ++i) {
      std::vector<stage_id> stages;
      for (const hop& h : p.paths[i].hops)
        stages.push_back(h.stage);
      RC_ASSERT(stages == x.routes[i]);
    }
    const auto times = slow_simulation(x, p);
    RC_ASSERT(times.has_value());
    RC_ASSERT(broken_rule(x, p, *times) == "");
  });
}

TEST_CASE("R4: any order is timed alike, or is a deadlock to both", "[scheduler][properties]") {
  int deadlocks = 0, ends = 0;
  holds(1500, [&] {
    instance x;
    planner_options options;
    plan p = any_plan(x, options);
    for (std::uint32_t swaps = upto(1, 3); swaps > 0; --swaps) {
      auto& tasks = p.order[upto(0, static_cast<std::uint32_t>(p.order.size()) - 1)];
      if (tasks.size() < 2)
        continue;
      const std::uint32_t i = upto(0, static_cast<std::uint32_t>(tasks.size()) - 2);
      std::swap(tasks[i], tasks[i + 1]);
    }
    const auto timed = simulate(x, p.paths, p.order);
    const auto times = slow_simulation(x, p);
    RC_ASSERT(times.has_value() == timed.violations.empty());
    if (times)
      RC_ASSERT(same_times(timed, *times));
    ++(times ? ends : deadlocks);
  });
  CHECK(deadlocks > 100 / share_of_cases); // Both kinds were seen.
  CHECK(ends > 100 / share_of_cases);
}

TEST_CASE("R2 R3: changed paths are judged alike", "[scheduler][properties]") {
  int broken = 0, kept = 0;
  holds(1500, [&] {
    instance x;
    planner_options options;
    plan p = any_plan(x, options);
    RC_PRE(!p.paths.front().hops.empty());
    for (std::uint32_t changes = upto(1, 2); changes > 0; --changes) {
      path& changed = p.paths[upto(0, static_cast<std::uint32_t>(p.paths.size()) - 1)];
      const auto last = static_cast<std::uint32_t>(changed.hops.size()) - 1;
      if (upto(0, 1) == 0) {
        std::swap(changed.hops[upto(0, last)], changed.hops[upto(0, last)]);
      } else {
        hop& h = changed.hops[upto(0, last)];
        h.stage = upto(1, x.stages - 1);
        const auto& nodes = p.arrangement[h.stage];
        h.node = nodes[upto(0, static_cast<std::uint32_t>(nodes.size()) - 1)];
      }
    }
    const auto lines = check_plan(x, p);
    const bool path_line = std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
      return line.rfind("microbatch", 0) == 0 || line.rfind("balance", 0) == 0;
    });
    const std::string rule = broken_path_rule(x, p);
    RC_LOG(rule);
    RC_ASSERT(path_line == !rule.empty());
    ++(rule.empty() ? kept : broken);
  });
  CHECK(broken > 100 / share_of_cases);
  CHECK(kept > 100 / share_of_cases);
}
