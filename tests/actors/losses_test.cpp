// Nodes that die, freeze and leave while a simulated cluster trains (R1, R5, R7, R12).
#include "scheduler/survivors.hpp"
#include "sim_problem.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

using namespace skippipe;
using namespace skippipe::actors;
using namespace skippipe::actors::simulation;

namespace {

constexpr std::int64_t ms = 1'000'000;

/// Like random_problem, with at least two replicas of each stage.
scheduler::instance doubled_problem(random_source& random) {
  auto problem = random_problem(random);
  for (stage_id s = 0; s < problem.stages; ++s)
    if (problem.arrangement[s].size() == 1) {
      problem.arrangement[s].push_back(static_cast<node_id>(problem.nodes.size()));
      problem.nodes.push_back(problem.nodes[problem.arrangement[s][0]]);
      ++problem.stage_sizes[s];
    }
  problem.link_s.assign(problem.nodes.size() * problem.nodes.size(), 0.1);
  return problem;
}

evaluation_plan evaluation_over(const scheduler::plan& plan) {
  evaluation_plan full{"full", {}};
  for (microbatch_id batch = 0; batch < 4; ++batch) {
    const auto& origins = plan.arrangement[0];
    scheduler::path path{batch, origins[batch % origins.size()], {}};
    for (stage_id s = 1; s < plan.arrangement.size(); ++s)
      path.hops.push_back({s, plan.arrangement[s][batch % plan.arrangement[s].size()]});
    full.paths.push_back(path);
  }
  return full;
}

struct world_of_losses {
  scheduler::instance problem;
  scheduler::plan plan;
  sim_options options;
  std::vector<iteration_no> published;

  explicit world_of_losses(std::uint64_t seed) {
    random_source random{seed * 7919};
    problem = doubled_problem(random);
    plan = random_plan(problem, random.next());
    options.seed = seed;
    options.faults.latency_ns = ms / 10;
    options.faults.jitter_ns = static_cast<std::int64_t>(random.below(20 * ms)) + 1;
    options.faults.duplicate = 0.2 * random.uniform();
    options.compute_jitter = 2 * random.uniform();
    options.job.plan = plan;
    for (const auto& node : problem.nodes)
      options.job.memory.push_back(node.memory);
    options.job.last = 4;
    options.job.eval = {evaluation_over(plan)};
    options.job.eval_every = 2;
    options.job.checkpoint_every = 2;
    options.job.publish_checkpoint = [this](iteration_no t) { published.push_back(t); };
    options.job.journal = [](const commit&) {};
    options.job.adjust = [this](const scheduler::plan& running, const std::set<node_id>& gone) {
      const auto left = scheduler::without_nodes(problem, running, gone);
      adjusted_plan result;
      result.plan =
          scheduler::in_old_ids(left, random_plan(left.problem, gone.size()), problem.nodes.size());
      result.eval = {evaluation_over(result.plan)};
      return result;
    };
  }

  /// One node of the stage always stays.
  bool may_lose(node_id node, const std::set<node_id>& lost) const {
    for (const auto& stage : problem.arrangement)
      if (std::count(stage.begin(), stage.end(), node) > 0)
        return std::count_if(stage.begin(), stage.end(),
                             [&](node_id x) { return !lost.contains(x); })
               > 1;
    return false;
  }

  void check(const sim_result& result, const std::set<node_id>& lost) {
    REQUIRE(result.failure == "");
    REQUIRE(result.stage_lost == "");
    REQUIRE(result.finished);
    oracle expected{options.seed, problem.stages};
    REQUIRE(result.iterations.size() == options.job.last);
    for (iteration_no t = 1; t <= options.job.last; ++t) {
      const auto loss = expected.run(plan, t, options.job.clip);
      REQUIRE(result.iterations[t - 1].iteration == t);
      REQUIRE(result.iterations[t - 1].loss == Approx(loss));
    }
    for (stage_id stage = 0; stage < problem.stages; ++stage)
      for (auto node : problem.arrangement[stage])
        if (!lost.contains(node)) {
          REQUIRE(result.hashes[node] == expected.shards[stage].hash());
          REQUIRE(result.peak_in_flight[node] <= problem.nodes[node].memory);
          REQUIRE(result.left_in_flight[node] == 0);
        }
    REQUIRE(!published.empty());
    REQUIRE(published.back() == options.job.last);
  }
};

} // namespace

TEST_CASE("1000 clusters that lose nodes compute what undisturbed ones do",
          "[actors][simulation][R5][R12]") {
  std::uint64_t replayed = 0, zombies = 0, evaluated = 0;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    INFO("seed " << seed);
    world_of_losses world{seed};
    random_source random{seed};
    const auto undisturbed = sim_cluster{world.options}.run();
    std::set<node_id> lost;
    for (unsigned i = 0; i < 1 + random.below(3); ++i) {
      const auto node = static_cast<node_id>(random.below(world.problem.nodes.size()));
      if (lost.contains(node) || !world.may_lose(node, lost))
        continue;
      lost.insert(node);
      sim_loss loss;
      loss.node = node;
      loss.at_ns = static_cast<std::int64_t>(
          random.below(static_cast<std::uint64_t>(undisturbed.virtual_ns)));
      loss.noticed_ns = static_cast<std::int64_t>(random.below(500 * ms));
      if (random.chance(0.4))
        loss.wakes_ns = loss.noticed_ns + static_cast<std::int64_t>(random.below(500 * ms));
      zombies += loss.wakes_ns > 0;
      world.options.losses.push_back(loss);
    }
    world.published.clear();
    const auto result = sim_cluster{world.options}.run();
    world.check(result, lost);
    evaluated += result.evaluations.size();
    std::uint32_t attempts = 0;
    for (const auto& e : result.events)
      attempts = std::max(attempts, e.attempt);
    replayed += attempts;
  }
  // The runs are worth something only where these happened.
  CHECK(replayed > 300);
  CHECK(zombies > 300);
  CHECK(evaluated >= 2000);
}

TEST_CASE("a drained node has its part in its last commit and none in the next",
          "[actors][simulation][R7]") {
  std::uint64_t left = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    INFO("seed " << seed);
    world_of_losses world{seed};
    random_source random{seed};
    const auto undisturbed = sim_cluster{world.options}.run();
    const auto node = static_cast<node_id>(random.below(world.problem.nodes.size()));
    world.options.drains = {{static_cast<std::int64_t>(random.below(
                                 static_cast<std::uint64_t>(undisturbed.virtual_ns / 2))),
                             node}};
    world.published.clear();
    const auto result = sim_cluster{world.options}.run();
    world.check(result, {node});
    left += result.left.size();
    // Nothing was lost, so nothing was run again.
    for (const auto& e : result.events)
      REQUIRE(e.attempt == 0);
  }
  CHECK(left > 60);
}

TEST_CASE("a stage that loses its last node says so", "[actors][simulation][R7]") {
  world_of_losses world{3};
  for (auto node : world.problem.arrangement[0])
    world.options.losses.push_back({node, 50 * ms, 10 * ms * node, 0});
  const auto result = sim_cluster{world.options}.run();
  CHECK_FALSE(result.finished);
  CHECK(result.stage_lost == "simulated");
  CHECK(result.failure == "");
}

TEST_CASE("a link that loses what it carries is given up after three replays",
          "[actors][simulation][R5]") {
  std::uint64_t replayed = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    INFO("seed " << seed);
    world_of_losses world{seed};
    if (world.problem.stages < 2)
      continue;
    // Between the first node of stage 0 and the first of stage 1 nothing arrives any more.
    const auto a = world.problem.arrangement[0][0], b = world.problem.arrangement[1][0];
    auto& faults = world.options.faults;
    faults.on_cut = [a, b](node_id from, node_id to) {
      return (from == a && to == b) || (from == b && to == a);
    };
    const auto result = sim_cluster{world.options}.run();
    REQUIRE(result.failure == "");
    REQUIRE(result.finished);
    oracle expected{seed, world.problem.stages};
    for (iteration_no t = 1; t <= world.options.job.last; ++t)
      expected.run(world.plan, t, world.options.job.clip);
    std::uint32_t attempts = 0;
    for (const auto& e : result.events)
      attempts = std::max(attempts, e.attempt);
    replayed += attempts >= 3;
    // The survivors agree with the oracle, whoever was given up.
    std::size_t right = 0;
    for (stage_id stage = 0; stage < world.problem.stages; ++stage)
      for (auto node : world.problem.arrangement[stage])
        right += result.hashes[node] == expected.shards[stage].hash();
    REQUIRE(right + 1 >= world.problem.nodes.size());
  }
  CHECK(replayed > 10);
}
