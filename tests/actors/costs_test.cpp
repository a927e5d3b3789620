// A simulated cluster follows what its nodes cost (R1-R7, R11).
#include "losses_problem.hpp"

#include "actors/warm_up.hpp"

using namespace skippipe;
using namespace skippipe::actors;
using namespace skippipe::actors::simulation;

namespace {

scheduler::plan searched(const scheduler::instance& problem) {
  scheduler::planner_options options;
  options.time_limit_s = 100;  // Never reached, also under a sanitizer on a busy machine.
  options.max_iterations = 30; // Repeatable.
  auto plan = std::get<scheduler::plan>(scheduler::make_plan(problem, options));
  plan.version = 1;
  return plan;
}

/// Three stages of two equal machines each, as the simulation has them.
struct equal_machines {
  scheduler::instance problem;
  const scheduler::workload work{{1, 1, 1}, 0, {}};
  sim_options options;

  equal_machines() {
    problem.stages = 3;
    problem.stage_sizes = {2, 2, 2};
    problem.arrangement = {{0, 1}, {2, 3}, {4, 5}};
    for (int i = 0; i < 6; ++i)
      problem.nodes.push_back({"n" + std::to_string(i), "here", 0.010, 4});
    problem.link_s.assign(36, 0.001);
    problem.path_length = 3;
    problem.microbatches_per_origin = 4;
    options.seed = 3;
    options.compute_jitter = 0.3;
    options.job.plan = searched(problem);
    options.job.memory.assign(6, 4);
    options.job.last = 60;
    options.job.adjust = [this](const scheduler::plan&, const std::set<node_id>&,
                                const scheduler::cost_tracker& costs) {
      return adjusted_plan{searched(costs.applied_to(problem, work)), {}, {}};
    };
    options.job.costs.problem = [this](const scheduler::cost_tracker& costs) {
      return costs.applied_to(problem, work);
    };
  }
  equal_machines(const equal_machines&) = delete;

  /// Loss and parameters must be those of one loop, each iteration by the plan that it ran by (R1-R7).
  void check(const sim_result& result) const {
    REQUIRE(result.failure == "");
    REQUIRE(result.finished);
    std::map<plan_version, scheduler::plan> plans{{1, options.job.plan}};
    for (const auto& taken : result.taken)
      plans[taken.version] = taken;
    oracle expected{options.seed, problem.stages};
    for (const auto& iteration : result.iterations)
      REQUIRE(
          iteration.loss
          == Approx(expected.run(plans.at(iteration.plan), iteration.iteration, options.job.clip)));
    for (node_id node = 0; node < 6; ++node) {
      REQUIRE(result.hashes[node] == expected.shards[node / 2].hash());
      REQUIRE(result.peak_in_flight[node] <= 4);
      REQUIRE(result.left_in_flight[node] == 0);
    }
    for (const auto& e : result.events)
      REQUIRE(e.attempt == 0); // Nothing was run twice for another plan.
  }

  double seconds(const sim_result& result, std::size_t from, std::size_t to) const {
    double sum = 0;
    for (auto i = from; i < to; ++i)
      sum += result.iterations[i].iteration_s;
    return sum / static_cast<double>(to - from);
  }
};

} // namespace

TEST_CASE("while costs stay what they are the plan does, too", "[actors][simulation][costs]") {
  equal_machines world;
  const auto result = sim_cluster{world.options}.run();
  world.check(result);
  CHECK(result.plans.empty());
}

TEST_CASE("a node that takes three times as long gets less to do", "[actors][simulation][costs]") {
  equal_machines world;
  world.options.slowdowns = {{2, 2'500 * ms, 3}};
  const auto result = sim_cluster{world.options}.run();
  world.check(result);
  // One for it; a short search may find a better one still, later.
  REQUIRE(!result.plans.empty());
  REQUIRE(result.plans.size() <= 2);
  // From the first iteration that was slow all through to the last one by the old plan.
  std::size_t changed = 0;
  while (result.iterations[changed].plan == 1)
    ++changed;
  double slow = 0;
  for (std::size_t i = 0; i < changed; ++i)
    slow = std::max(slow, result.iterations[i].iteration_s);
  REQUIRE(changed > 5);
  REQUIRE(changed < 45);
  const auto usual = world.seconds(result, 0, 5);
  const auto after = world.seconds(result, changed + 1, 60);
  CHECK(slow > 1.8 * usual);
  CHECK(after < 0.75 * slow);
  // The same seed gives the same again (R11).
  const auto again = sim_cluster{world.options}.run();
  CHECK(again.virtual_ns == result.virtual_ns);
  CHECK(again.plans == result.plans);
}

TEST_CASE("a node that had nothing to do gets its share when it has recovered",
          "[actors][simulation][costs]") {
  equal_machines world;
  world.options.job.last = 150;
  world.options.slowdowns = {{2, 2'500 * ms, 40}, {2, 40'000 * ms, 1}};
  const auto result = sim_cluster{world.options}.run();
  world.check(result);
  std::vector<std::size_t> tasks; // Of the node, plan by plan.
  for (const auto& plan : result.taken)
    tasks.push_back(plan.order[2].size());
  CAPTURE(tasks, result.virtual_ns);
  REQUIRE(!tasks.empty());
  const auto usual = world.options.job.plan.order[2].size();
  CHECK(*std::min_element(tasks.begin(), tasks.end()) == 0);
  CHECK(tasks.back() + 2 >= usual); // One microbatch less at most.
  CHECK(world.seconds(result, 140, 150) < 1.2 * world.seconds(result, 0, 5));
}

TEST_CASE("a plan made in haste for a loss gives way to a better one",
          "[actors][simulation][costs]") {
  equal_machines world;
  world.options.losses = {{3, 2'000 * ms, 50 * ms}};
  world.options.job.adjust = [&world](const scheduler::plan& running, const std::set<node_id>& gone,
                                      const scheduler::cost_tracker&) {
    auto left = scheduler::without_nodes(world.problem, running, gone);
    if (running.version == 1) // In haste: one microbatch after the other.
      for (auto& node : left.problem.nodes)
        node.memory = 1;
    return adjusted_plan{scheduler::in_old_ids(left, searched(left.problem), 6), {}, {}};
  };
  const auto result = sim_cluster{world.options}.run();
  REQUIRE(result.failure == "");
  REQUIRE(result.finished);
  REQUIRE(result.lost.size() == 1);
  // Its costs stay what they were.
  REQUIRE(result.taken.size() == 2);
  const auto mean = [&](plan_version version) {
    double sum = 0;
    int count = 0;
    for (const auto& iteration : result.iterations)
      if (iteration.plan == version) {
        sum += iteration.iteration_s;
        ++count;
      }
    REQUIRE(count > 0);
    return sum / count;
  };
  CHECK(mean(3) < 0.9 * mean(2));
}

TEST_CASE("plans that change at every commit disturb neither losses nor results",
          "[actors][simulation][costs][R1][R5]") {
#ifdef SKIPPIPE_SANITIZED
  constexpr std::uint64_t seeds = 30;
#else
  constexpr std::uint64_t seeds = 300;
#endif
  std::uint64_t changes = 0, losses = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    INFO("seed " << seed);
    world_of_losses world{seed};
    random_source random{seed};
    world.options.job.costs.problem = [&world](const scheduler::cost_tracker& costs) {
      return costs.applied_to(world.problem, {});
    };
    world.options.job.costs.drift = {-10, 1, 0, 0}; // Whatever it is worth.
    if (seed % 2 == 0) // A plan may be ready when it is no longer wanted.
      world.options.costs.other = 200 * ms;
    const auto undisturbed = world.run();
    world.check(undisturbed, {});
    changes += undisturbed.plans.size();
    const auto node = static_cast<node_id>(random.below(world.problem.nodes.size()));
    sim_loss loss;
    loss.node = node;
    loss.at_ns =
        static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(undisturbed.virtual_ns)));
    loss.noticed_ns = static_cast<std::int64_t>(random.below(500 * ms));
    world.options.losses = {loss};
    const auto result = world.run();
    world.check(result, {node});
    losses += result.lost.size();
  }
  CHECK(changes >= seeds);
  CHECK(losses > seeds / 2);
}

TEST_CASE("a warm-up leaves nothing behind", "[actors][costs]") {
  hash_shard fresh{7, 1}, warm{7, 1};
  real_clock time;
  const auto costs = warm_up(warm, 1, {3, 1}, time);
  CHECK(costs.forward_s > 0);
  CHECK(costs.backward_s > 0);
  CHECK(costs.loss_s == 0);
  CHECK(warm.in_flight() == 0);
  CHECK(warm.peak_in_flight() == 1);
  for (auto* shard : {&fresh, &warm}) {
    const auto out = shard->forward(0, shard->blank());
    shard->backward(0, out);
    shard->update(1, 1);
  }
  CHECK(warm.hash() == fresh.hash());

  hash_shard origin{7, 0};
  CHECK(warm_up(origin, 0, {3, 1}, time).loss_s > 0);
  CHECK(origin.in_flight() == 0);
  // One microbatch at least, then no more than fit.
  CHECK(warm_up(origin, 0, {1'000'000'000, 0.05}, time).forward_s > 0);
  CHECK(warm_up(origin, 0, {0, 1}, time).forward_s == 0);
}
