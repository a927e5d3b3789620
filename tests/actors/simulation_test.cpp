// The whole cluster on one thread and virtual time, from seeds (R1-R7, R11, R12).
#include "sim_problem.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <set>

using namespace skippipe;
using namespace skippipe::actors;
using namespace skippipe::actors::simulation;

namespace {

sim_options job_from(std::uint64_t seed, scheduler::plan& plan_out, scheduler::instance& problem) {
  random_source random{seed};
  problem = random_problem(random);
  plan_out = random_plan(problem, random.next());
  sim_options options;
  options.seed = seed;
  options.faults.latency_ns = 100'000;
  options.faults.jitter_ns = static_cast<std::int64_t>(random.below(40'000'000)) + 1;
  options.faults.duplicate = 0.3 * random.uniform();
  options.compute_jitter = 3 * random.uniform();
  options.job.plan = plan_out;
  for (const auto& node : problem.nodes)
    options.job.memory.push_back(node.memory);
  options.job.last = 3;
  options.job.clip = random.chance(0.5) ? 1e-3 : 0;
  // Half of them with due times, right or wrong by up to a factor of 1000: tasks then wait for others.
  if (seed % 2 == 1)
    options.job.times = [problem, scale = std::pow(10.0, 3 * random.uniform())](
                            const scheduler::plan& plan, const scheduler::cost_tracker&) {
      return times_of(problem, plan, scale);
    };
  return options;
}

std::uint32_t planned_peak(const std::vector<scheduler::planned_task>& order) {
  std::uint32_t in_flight = 0, peak = 0;
  for (const auto& task : order) {
    if (task.kind == scheduler::task_kind::forward)
      peak = std::max(peak, ++in_flight);
    else if (task.kind == scheduler::task_kind::backward)
      --in_flight;
  }
  return peak;
}

/// R4: replays every node's executed order against its planned one. Returns how many forwards
/// overtook.
std::uint64_t check_order(const sim_result& result, const scheduler::plan& plan,
                          const std::vector<std::uint32_t>& memory) {
  for (const auto& [key, events] : started_tasks(result)) {
    REQUIRE(events.size() == plan.order[key.first].size()); // Each planned task once, nothing else.
    std::set<std::pair<microbatch_id, scheduler::task_kind>> seen;
    for (const auto& e : events)
      REQUIRE(seen.emplace(e.microbatch, e.task).second);
  }

  std::uint64_t overtaking = 0;
  for (node_id node = 0; node < plan.order.size(); ++node) {
    std::vector<microbatch_id> planned; // Forwards.
    for (const auto& task : plan.order[node])
      if (task.kind == scheduler::task_kind::forward)
        planned.push_back(task.microbatch);
    const auto peak = planned_peak(plan.order[node]);
    iteration_no iteration = 0;
    std::vector<microbatch_id> unstarted;
    std::set<microbatch_id> held, overtakers;
    for (const auto& e : result.events) {
      if (e.node != node)
        continue;
      if (e.kind == trace::event_kind::started && e.iteration != iteration) {
        REQUIRE(held.empty());
        iteration = e.iteration;
        unstarted = planned;
      }
      if (e.kind == trace::event_kind::started && e.task == scheduler::task_kind::forward) {
        const auto at = std::find(unstarted.begin(), unstarted.end(), e.microbatch);
        REQUIRE(at != unstarted.end());
        if (at != unstarted.begin()) { // A slot beyond the planned peak for each overtaken one.
          const auto overtaken = static_cast<std::size_t>(at - unstarted.begin());
          REQUIRE(overtakers.size() + overtaken <= memory[node] - peak);
          overtakers.insert(e.microbatch);
          ++overtaking;
        }
        unstarted.erase(at);
        held.insert(e.microbatch);
        REQUIRE(held.size() <= memory[node]);
      }
      if (e.kind == trace::event_kind::freed) {
        held.erase(e.microbatch);
        overtakers.erase(e.microbatch);
      }
    }
  }
  return overtaking;
}

} // namespace

TEST_CASE("1000 seeded clusters compute what one loop computes", "[actors][simulation][R1-R7]") {
  std::uint64_t duplicates = 0, swaps = 0, skips = 0, replicas = 0, overtaking = 0;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    INFO("seed " << seed);
    scheduler::plan plan;
    scheduler::instance problem;
    auto options = job_from(seed, plan, problem);
    const auto result = sim_cluster{options}.run();
    REQUIRE(result.failure == "");
    REQUIRE(result.finished);
    REQUIRE(result.undecodable == 0);

    oracle expected{seed, problem.stages};
    REQUIRE(result.iterations.size() == 3);
    for (iteration_no t = 1; t <= 3; ++t) {
      const auto loss = expected.run(plan, t, options.job.clip);
      REQUIRE(result.iterations[t - 1].iteration == t);
      REQUIRE(result.iterations[t - 1].loss == Approx(loss));
    }
    for (stage_id stage = 0; stage < problem.stages; ++stage)
      for (auto node : problem.arrangement[stage]) {
        REQUIRE(result.hashes[node] == expected.shards[stage].hash());
        REQUIRE(result.peak_in_flight[node] <= problem.nodes[node].memory);
        REQUIRE(result.left_in_flight[node] == 0);
      }
    overtaking += check_order(result, plan, options.job.memory);

    duplicates += static_cast<std::uint64_t>(
        std::count_if(result.events.begin(), result.events.end(),
                      [](const trace::event& e) { return e.kind == trace::event_kind::dropped; }));
    swaps += result.iterations[0].swaps;
    skips += result.iterations[0].skipped_stages;
    replicas += problem.nodes.size() - problem.stages;
  }
  // The runs are worth something only where these happened.
  CHECK(duplicates > 1000);
  CHECK(swaps > 1000);
  CHECK(skips > 1000);
  CHECK(replicas > 1000);
  CHECK(overtaking > 100);
}

TEST_CASE("without disturbance the executed order is the planned one", "[actors][simulation][R4]") {
  std::uint64_t equal = 0, different = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    INFO("seed " << seed);
    random_source random{seed};
    auto problem = random_problem(random);
    for (auto& node : problem.nodes)
      node.compute_s = 0.01; // As in work_costs.
    std::fill(problem.link_s.begin(), problem.link_s.end(), 1e-4);
    sim_options options;
    options.seed = seed;
    options.faults.latency_ns = 100'000;
    options.compute_jitter = 0;
    options.job.plan = random_plan(problem, random.next());
    for (const auto& order : options.job.plan.order) // No slot to overtake with.
      options.job.memory.push_back(std::max(1u, planned_peak(order)));
    options.job.last = 2;
    const auto result = sim_cluster{options}.run();
    REQUIRE(result.failure == "");
    REQUIRE(result.finished);
    for (const auto& [key, events] : started_tasks(result)) {
      // Tasks that become ready at the same instant may swap: the times are all multiples.
      ++(order_of(events) == options.job.plan.order[key.first] ? equal : different);
    }
    // And so the iteration takes about what was planned; reduction and commit are extra.
    for (const auto& report : result.iterations) {
      CHECK(report.iteration_s > 0.85 * options.job.plan.makespan_s);
      CHECK(report.iteration_s < 1.1 * options.job.plan.makespan_s + 0.015);
    }
  }
  CHECK(equal > 10 * different);
}

TEST_CASE("a seed replays exactly", "[actors][simulation][R11]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    scheduler::plan plan;
    scheduler::instance problem;
    const auto options = job_from(seed, plan, problem);
    const auto first = sim_cluster{options}.run();
    const auto second = sim_cluster{options}.run();
    REQUIRE(first.events == second.events);
    REQUIRE(first.virtual_ns == second.virtual_ns);
    REQUIRE(first.messages == second.messages);
  }
}

TEST_CASE("a job goes on from any commit", "[actors][simulation][R7]") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    INFO("seed " << seed);
    scheduler::plan plan;
    scheduler::instance problem;
    auto options = job_from(seed, plan, problem);
    options.job.committed = 7;
    options.job.last = 10;
    const auto result = sim_cluster{options}.run();
    REQUIRE(result.finished);
    oracle expected{seed, problem.stages};
    for (iteration_no t = 8; t <= 10; ++t)
      expected.run(plan, t, options.job.clip);
    for (stage_id stage = 0; stage < problem.stages; ++stage)
      for (auto node : problem.arrangement[stage])
        REQUIRE(result.hashes[node] == expected.shards[stage].hash());
  }
}

TEST_CASE("a lost activation is a standstill, never a wrong sum", "[actors][simulation][R5]") {
  scheduler::plan plan;
  scheduler::instance problem;
  std::uint64_t seed = 1;
  auto options = job_from(seed, plan, problem);
  while (problem.stages < 3)
    options = job_from(++seed, plan, problem);
  bool lost = false;
  options.faults.filter = [&](node_id, node_id, wire_message& message) {
    auto* work = std::get_if<microbatch>(&message);
    return work == nullptr || work->step == 0 || std::exchange(lost, true);
  };
  const auto result = sim_cluster{options}.run();
  CHECK_FALSE(result.finished);
  CHECK(result.iterations.empty());
}

TEST_CASE("evaluation runs between iterations and changes nothing", "[actors][simulation]") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    INFO("seed " << seed);
    scheduler::plan plan;
    scheduler::instance problem;
    auto options = job_from(seed, plan, problem);
    const auto plain = sim_cluster{options}.run();
    evaluation_plan full{"full", {}};
    for (microbatch_id batch = 0; batch < 4; ++batch) {
      scheduler::path path{
          batch, problem.arrangement[0][batch % problem.arrangement[0].size()], {}};
      for (stage_id s = 1; s < problem.stages; ++s)
        path.hops.push_back({s, problem.arrangement[s][batch % problem.arrangement[s].size()]});
      full.paths.push_back(path);
    }
    options.job.eval = {full};
    options.job.eval_every = 1;
    options.job.final_eval = {full};
    const auto result = sim_cluster{options}.run();
    REQUIRE(result.finished);
    REQUIRE(result.hashes == plain.hashes);
    REQUIRE(result.evaluations.size() == 4);
    REQUIRE(result.evaluations[2].loss == Approx(result.evaluations[3].loss));
    REQUIRE(result.evaluations[0].tokens == 4);
  }
}

TEST_CASE("checkpoints are published at their iterations and the end", "[actors][simulation][R9]") {
  scheduler::plan plan;
  scheduler::instance problem;
  auto options = job_from(3, plan, problem);
  options.job.last = 5;
  options.job.checkpoint_every = 2;
  std::vector<iteration_no> published;
  options.job.publish_checkpoint = [&](iteration_no t) { published.push_back(t); };
  const auto result = sim_cluster{options}.run();
  REQUIRE(result.finished);
  CHECK(published.back() == 5);
  CHECK(published.front() == 2);
  // One replica per stage, each time.
  CHECK(result.checkpoints.size() == published.size() * problem.stages);
}

TEST_CASE("an impossible norm replays once, then skips, then stops", "[actors][simulation][R13]") {
  scheduler::plan plan;
  scheduler::instance problem;
  auto options = job_from(5, plan, problem);
  const auto plain = sim_cluster{options}.run();
  const auto spoil = [&](unsigned times) {
    sim_cluster cluster{options};
    cluster.on_shard = [&](node_id node, hash_shard& shard) {
      if (node == problem.arrangement[0][0])
        shard.spoil_norms(times);
    };
    return cluster.run();
  };
  SECTION("once: the replay gives what an undisturbed run gives") {
    const auto result = spoil(1);
    REQUIRE(result.finished);
    CHECK(result.hashes == plain.hashes);
  }
  SECTION("twice: the iteration is skipped and counted") {
    const auto result = spoil(2);
    REQUIRE(result.finished);
    CHECK(result.iterations[0].skipped);
    CHECK_FALSE(result.iterations[1].skipped);
    CHECK(result.hashes != plain.hashes);
  }
  SECTION("always: three in a row stop the job") {
    options.job.last = 9;
    const auto result = spoil(1000);
    CHECK_FALSE(result.finished);
    CHECK(result.iterations.size() == 3);
    CHECK(result.failure.find("stage 0") != std::string::npos);
  }
}

TEST_CASE("full nodes, crossing paths, late and early inputs never deadlock",
          "[actors][simulation][R4]") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    INFO("seed " << seed);
    random_source random{seed * 977};
    scheduler::instance problem = random_problem(random);
    problem.path_length = problem.stages > 2 ? problem.stages - 1 : problem.stages;
    problem.microbatches_per_origin = 6;
    for (auto& node : problem.nodes)
      node.memory = 1 + static_cast<std::uint32_t>(random.below(2)); // Every node is full.
    sim_options options;
    options.seed = seed;
    options.job.plan = random_plan(problem, random.next());
    for (const auto& node : problem.nodes)
      options.job.memory.push_back(node.memory);
    options.job.last = 2;
    // From no delay at all to a thousand times a task.
    options.faults.latency_ns = 0;
    options.faults.jitter_ns = seed % 3 == 0 ? 1 : seed % 3 == 1 ? 20'000'000 : 10'000'000'000;
    options.compute_jitter = seed % 2 == 0 ? 0 : 50;
    const auto result = sim_cluster{options}.run();
    REQUIRE(result.failure == "");
    REQUIRE(result.finished);
    for (std::size_t node = 0; node < problem.nodes.size(); ++node)
      REQUIRE(result.peak_in_flight[node] <= problem.nodes[node].memory);
  }
}

TEST_CASE("an iteration that does not balance is never committed", "[actors][simulation][R5]") {
  scheduler::plan plan;
  scheduler::instance problem;
  auto options = job_from(5, plan, problem);
  options.faults.filter = [](node_id, node_id, wire_message& message) {
    auto* report = std::get_if<reduced>(&message);
    if (report != nullptr && report->iteration == 2 && !report->contributions.empty())
      report->contributions.pop_back();
    return true;
  };
  const auto result = sim_cluster{options}.run();
  CHECK_FALSE(result.finished);
  CHECK(result.iterations.size() == 1);
  CHECK(result.failure.find("does not balance") != std::string::npos);
}
