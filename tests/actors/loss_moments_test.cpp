// Nodes that are lost at the worst moments: one case per phase of the scheduler (R5, R7, R9).
#include "losses_problem.hpp"

using namespace skippipe;
using namespace skippipe::actors;
using namespace skippipe::actors::simulation;

namespace {

/// Runs seeded worlds; `arrange` prepares one and returns who will be lost.
struct moment {
  world_of_losses world;
  sim_cluster* cluster = nullptr; ///< Set while it runs.
  std::set<node_id> lost;

  explicit moment(std::uint64_t seed) : world(seed) {}

  /// Kills a node that its stage can spare, once; the scheduler is told at once.
  void lose(node_id node) {
    if (cluster == nullptr || !world.may_lose(node, lost))
      return;
    lost.insert(node);
    cluster->lose({node, 0, 0, 0, 0.5});
  }
  void lose_one_of(stage_id stage) { lose(world.problem.arrangement[stage].back()); }
  stage_id any_stage() const {
    return static_cast<stage_id>(world.options.seed % world.problem.stages);
  }

  sim_result run() {
    sim_cluster running{world.options};
    cluster = &running;
    auto result = world.run(running);
    cluster = nullptr;
    REQUIRE(!lost.empty());
    world.check(result, lost);
    return result;
  }
};

std::uint32_t attempts_of(const sim_result& result, iteration_no iteration) {
  std::uint32_t most = 0;
  for (const auto& e : result.events)
    if (e.iteration == iteration && !e.evaluation)
      most = std::max(most, e.attempt);
  return most;
}

} // namespace

TEST_CASE("lost while the shards are built", "[actors][simulation][R5]") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    moment now{seed};
    now.world.options.faults.filter = [&](node_id, node_id to, wire_message& message) {
      if (std::holds_alternative<assign>(message) && to == 0)
        now.lose_one_of(now.any_stage());
      return true;
    };
    const auto result = now.run();
    CHECK(result.plans == std::vector<plan_version>{2});
    CHECK(attempts_of(result, 1) == 0); // Nothing had been begun.
  }
}

TEST_CASE("lost between two tasks", "[actors][simulation][R5]") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    moment now{seed};
    now.world.options.faults.filter = [&](node_id, node_id, wire_message& message) {
      const auto* report = std::get_if<losses>(&message);
      if (report != nullptr && report->iteration == 3)
        now.lose_one_of(now.any_stage());
      return true;
    };
    const auto result = now.run();
    CHECK(attempts_of(result, 3) == 1);
    CHECK(attempts_of(result, 4) == 0);
    CHECK(result.iterations[1].plan == 1);
    CHECK(result.iterations[2].plan == 2);
  }
}

TEST_CASE("lost while a commit is journaled: the commit stands", "[actors][simulation][R7]") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    moment now{seed};
    auto journal = now.world.options.job.journal;
    now.world.options.job.journal = [&, journal](const commit& entry) {
      journal(entry);
      if (entry.iteration == 3)
        now.lose_one_of(now.any_stage());
    };
    const auto result = now.run();
    for (iteration_no t = 1; t <= 4; ++t)
      CHECK(attempts_of(result, t) == 0);
    CHECK(result.iterations[2].plan == 1);
    CHECK(result.iterations[3].plan == 2);
  }
}

TEST_CASE("lost when the commit is sent: a replay may overtake it",
          "[actors][simulation][R1][R7]") {
  std::uint64_t overtaken = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    INFO("seed " << seed);
    moment now{seed};
    now.world.options.faults.jitter_ns = 300 * ms;
    now.world.options.faults.filter = [&](node_id, node_id, wire_message& message) {
      const auto* order = std::get_if<commit>(&message);
      if (order != nullptr && order->iteration == 1)
        now.lose_one_of(now.any_stage());
      return true;
    };
    const auto result = now.run();
    CHECK(attempts_of(result, 2) == 1);
    // Who got the replay first never began the attempt before.
    std::set<node_id> first;
    for (const auto& e : result.events)
      if (e.kind == trace::event_kind::iteration_started && e.iteration == 2 && e.attempt == 0)
        first.insert(e.node);
    overtaken += first.size() + now.lost.size() < now.world.problem.nodes.size();
  }
  CHECK(overtaken > 20);
}

TEST_CASE("lost during an evaluation, which runs again", "[actors][simulation]") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    moment now{seed};
    const auto undisturbed = now.world.run();
    now.world.options.faults.filter = [&](node_id, node_id, wire_message& message) {
      const auto* work = std::get_if<microbatch>(&message);
      if (std::holds_alternative<evaluated>(message)
          || (work != nullptr && work->mode == pass::evaluate && work->step > 1))
        now.lose_one_of(now.any_stage());
      return true;
    };
    const auto result = now.run();
    for (iteration_no t = 1; t <= 4; ++t)
      CHECK(attempts_of(result, t) == 0);
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(result.evaluations[i].loss == Approx(undisturbed.evaluations[i].loss));
      CHECK(result.evaluations[i].tokens == 4);
    }
  }
}

TEST_CASE("an evaluation that has been told is not told again", "[actors][simulation]") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    moment now{seed};
    auto& job = now.world.options.job;
    const auto three = [](const scheduler::plan& plan) {
      std::vector<evaluation_plan> result(3, evaluation_over(plan));
      result[1].what = "second";
      result[2].what = "third";
      return result;
    };
    job.final_eval = three(now.world.plan);
    job.eval.clear();
    job.adjust = [three, next = job.adjust](const scheduler::plan& running,
                                            const std::set<node_id>& gone,
                                            const scheduler::cost_tracker& costs) {
      auto result = next(running, gone, costs);
      result.final_eval = three(result.plan);
      result.eval.clear();
      return result;
    };
    now.world.options.faults.filter = [&](node_id, node_id, wire_message& message) {
      const auto* order = std::get_if<evaluate>(&message);
      if (order != nullptr && order->number == 2)
        now.lose_one_of(now.any_stage());
      return true;
    };
    sim_cluster running{now.world.options};
    now.cluster = &running;
    const auto result = now.world.run(running);
    REQUIRE(result.finished);
    REQUIRE(now.lost.size() == 1);
    REQUIRE(result.evaluations.size() == 3);
    CHECK(result.evaluations[0].what == "full");
    CHECK(result.evaluations[1].what == "second");
    CHECK(result.evaluations[2].what == "third");
  }
}

TEST_CASE("lost while a plan without another is made", "[actors][simulation][R5]") {
  std::uint64_t two = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    moment now{seed};
    unsigned calls = 0;
    auto& job = now.world.options.job;
    job.adjust = [&, next = job.adjust](const scheduler::plan& running,
                                        const std::set<node_id>& gone,
                                        const scheduler::cost_tracker& costs) {
      ++calls;
      auto result = next(running, gone, costs);
      for (stage_id stage = 0; stage < now.world.problem.stages && calls == 1; ++stage)
        now.lose_one_of(stage);
      return result;
    };
    now.world.options.faults.filter = [&](node_id, node_id, wire_message& message) {
      const auto* work = std::get_if<reduced>(&message);
      if (work != nullptr && work->iteration == 2)
        now.lose_one_of(now.any_stage());
      return true;
    };
    const auto result = now.run();
    if (now.lost.size() < 2)
      continue;
    ++two;
    CHECK(calls >= 2);
    CHECK(result.plans.size() == 1); // The plan that came too late never took effect.
    CHECK(attempts_of(result, 2) == 1);
  }
  CHECK(two > 20);
}

TEST_CASE("a checkpoint dies with its writer, training goes on", "[actors][simulation][R9]") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    moment now{seed};
    now.world.options.faults.filter = [&](node_id, node_id to, wire_message& message) {
      const auto* order = std::get_if<commit>(&message);
      if (order != nullptr && order->iteration == 2 && order->snapshot)
        now.lose(to);
      return true;
    };
    const auto result = now.run();
    REQUIRE(now.lost.size() == now.world.problem.stages);
    REQUIRE(result.checkpoint_reports.size() == 2);
    CHECK(result.checkpoint_reports[0].first == 2);
    const auto& names =
        now.world.options.job.names; // Whoever was the last to be lost of those who wrote.
    const auto said = [&](const std::string& name) {
      return result.checkpoint_reports[0].second == "node '" + name + "' was lost while it wrote";
    };
    CHECK(std::any_of(names.begin(), names.end(), said));
    CHECK(result.checkpoint_reports[1] == std::make_pair(iteration_no{4}, std::string{}));
    CHECK(now.world.published == std::vector<iteration_no>{4});
  }
}

TEST_CASE("the last checkpoint outlives its writers", "[actors][simulation][R9]") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    moment now{seed};
    const bool late = seed % 2 == 0; // When it has been told to write, or when it says that it has.
    now.world.options.faults.filter = [&](node_id from, node_id to, wire_message& message) {
      const auto* order = std::get_if<commit>(&message);
      const auto* done = std::get_if<snapshot_done>(&message);
      if (!late && order != nullptr && order->iteration == 4 && order->snapshot)
        now.lose(to);
      if (late && done != nullptr && done->iteration == 4 && now.lost.empty())
        now.lose(from);
      return true;
    };
    const auto result = now.run();
    CHECK(result.checkpoint_reports.back() == std::make_pair(iteration_no{4}, std::string{}));
    CHECK(now.world.published == std::vector<iteration_no>{2, 4});
    // Each stage of the checkpoint that counts was written by somebody who lived.
    CHECK(result.checkpoints.size() >= 2 * now.world.problem.stages);
  }
}

TEST_CASE("at the end nobody is needed who has written", "[actors][simulation][R9]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    moment now{seed};
    auto& job = now.world.options.job;
    unsigned plans = 0;
    job.eval.clear();
    now.world.options.faults.jitter_ns = 1;
    job.adjust = [&plans](const scheduler::plan&, const std::set<node_id>&,
                          const scheduler::cost_tracker&) -> adjusted_plan {
      ++plans;
      throw std::runtime_error("no plan");
    };
    std::set<node_id> all;
    job.publish_checkpoint = [&](iteration_no t) {
      now.world.published.push_back(t);
      if (t == job.last)
        for (node_id node = 0; node < now.world.problem.nodes.size(); ++node) {
          all.insert(node);
          now.cluster->lose({node, 0, 0, 0, 0});
        }
    };
    sim_cluster running{now.world.options};
    now.cluster = &running;
    const auto result = now.world.run(running);
    CHECK(result.finished);
    CHECK(result.failure == "");
    CHECK(result.stage_lost == "");
    CHECK(plans == 0);
  }
}

TEST_CASE("without a plan for the rest a loss fails the job in one line",
          "[actors][simulation][R10]") {
  moment now{2};
  auto& job = now.world.options.job;
  now.world.options.losses = {{0, 30 * ms, 0, 0, 0}};
  SECTION("nobody makes one") {
    job.adjust = {};
    CHECK(now.world.run().failure == "node 'n0' is lost: simulated");
  }
  SECTION("there is none") {
    job.adjust = [](const scheduler::plan&, const std::set<node_id>&,
                    const scheduler::cost_tracker&) -> adjusted_plan {
      throw std::runtime_error("no feasible plan: memory");
    };
    CHECK(now.world.run().failure == "no feasible plan: memory");
  }
}
