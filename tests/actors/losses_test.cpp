// Nodes that die, freeze, leave and lose their links at any time while a simulated cluster trains
// (R1, R5, R7, R12).
#include "losses_problem.hpp"
#include "tests/sanitized.hpp"

using namespace skippipe;
using namespace skippipe::actors;
using namespace skippipe::actors::simulation;

namespace {

constexpr std::uint64_t seeds = 1000 / one_case_in(10);

} // namespace

TEST_CASE("1000 clusters that lose nodes compute what undisturbed ones do",
          "[actors][simulation][R5][R12]") {
  std::uint64_t replayed = 0, zombies = 0, evaluated = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    INFO("seed " << seed);
    world_of_losses world{seed};
    random_source random{seed};
    const auto undisturbed = world.run();
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
      loss.late = random.uniform();
      if (random.chance(0.4))
        loss.wakes_ns = loss.noticed_ns + static_cast<std::int64_t>(random.below(500 * ms));
      zombies += loss.wakes_ns > 0;
      world.options.losses.push_back(loss);
    }
    const auto result = world.run();
    world.check(result, lost);
    evaluated += result.evaluations.size();
    std::uint32_t attempts = 0;
    for (const auto& e : result.events)
      attempts = std::max(attempts, e.attempt);
    replayed += attempts;
  }
  // The runs are worth something only where these happened.
  CHECK(replayed > 3 * seeds / 10);
  CHECK(zombies > 3 * seeds / 10);
  CHECK(evaluated >= 2 * seeds);
}

TEST_CASE("a drained node has its part in its last commit and none in the next",
          "[actors][simulation][R7]") {
  std::uint64_t left = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    INFO("seed " << seed);
    world_of_losses world{seed};
    random_source random{seed};
    const auto undisturbed = world.run();
    const auto node = static_cast<node_id>(random.below(world.problem.nodes.size()));
    world.options.drains = {{static_cast<std::int64_t>(random.below(
                                 static_cast<std::uint64_t>(undisturbed.virtual_ns / 2))),
                             node}};
    const auto result = world.run();
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

TEST_CASE("links that lose what they carry once, one way, cost replays only",
          "[actors][simulation][R1][R5]") {
  std::uint64_t replayed = 0, evaluations_again = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    INFO("seed " << seed);
    world_of_losses world{seed};
    random_source random{seed};
    const auto nodes = world.problem.nodes.size();
    // Often the new attempt runs while messages of the old one are still on their way.
    world.options.job.patience_ns = static_cast<std::int64_t>(random.below(100 * ms));
    // Up to three links lose one message each: as many replays as an iteration may have.
    std::map<std::pair<node_id, node_id>, std::uint64_t> cuts;
    for (unsigned i = 0; i < 3; ++i)
      cuts[{static_cast<node_id>(random.below(nodes)), static_cast<node_id>(random.below(nodes))}] =
          random.below(30);
    world.options.faults.on_cut = [&cuts](node_id from, node_id to) {
      const auto cut = cuts.find({from, to});
      if (cut == cuts.end() || cut->second-- > 0)
        return false;
      cuts.erase(cut);
      return true;
    };
    const auto result = world.run();
    REQUIRE(result.lost.empty());
    world.check(result, {});
    for (const auto& e : result.events) {
      replayed += e.kind == trace::event_kind::iteration_started && e.attempt > 0;
      evaluations_again += e.evaluation && e.iteration > 2;
    }
  }
  CHECK(replayed > 100);
  CHECK(evaluations_again > 0);
}
