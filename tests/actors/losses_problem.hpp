// A job that keeps computing the same whoever it loses, with evaluations, checkpoints and a journal.
#pragma once

#include "scheduler/survivors.hpp"
#include "sim_problem.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace skippipe::actors::simulation {

inline constexpr std::int64_t ms = 1'000'000;

/// Like random_problem, with at least two replicas of each stage.
inline scheduler::instance doubled_problem(random_source& random) {
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

inline evaluation_plan evaluation_over(const scheduler::plan& plan) {
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
  std::vector<iteration_no> published, journaled;

  world_of_losses(const world_of_losses&) = delete;
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
    for (const auto& node : problem.nodes) {
      options.job.memory.push_back(node.memory);
      options.job.names.push_back(node.name);
    }
    options.job.last = 4;
    options.job.eval = {evaluation_over(plan)};
    options.job.eval_every = 2;
    options.job.checkpoint_every = 2;
    options.job.publish_checkpoint = [this](iteration_no t) { published.push_back(t); };
    options.job.journal = [this](const commit& entry) { journaled.push_back(entry.iteration); };
    options.job.adjust = [this](const scheduler::plan& running, const std::set<node_id>& gone,
                                const scheduler::cost_tracker&) {
      const auto left = scheduler::without_nodes(problem, running, gone);
      adjusted_plan result;
      result.plan = scheduler::in_old_ids(
          left, random_plan(left.problem, gone.size() + running.version), problem.nodes.size());
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

  sim_result run() {
    sim_cluster cluster{options};
    return run(cluster);
  }
  sim_result run(sim_cluster& cluster) {
    published.clear();
    journaled.clear();
    return cluster.run();
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
    // R1: nothing of an attempt is queued or started once the next has begun.
    std::map<node_id, std::pair<iteration_no, attempt_no>> current;
    for (const auto& e : result.events) {
      if (e.kind == trace::event_kind::iteration_started)
        current[e.node] = {e.iteration, e.attempt};
      else if (!e.evaluation
               && (e.kind == trace::event_kind::queued || e.kind == trace::event_kind::started))
        REQUIRE(current[e.node] == std::make_pair(e.iteration, e.attempt));
    }
    // A commit stands once, an evaluation is told once.
    REQUIRE(journaled == std::vector<iteration_no>{1, 2, 3, 4});
    REQUIRE(result.evaluations.size() == 2);
    REQUIRE(result.evaluations[0].iteration == 2);
    REQUIRE(result.evaluations[1].iteration == 4);
  }
};

} // namespace skippipe::actors::simulation
