// Small random jobs for simulated clusters, and what they must compute.
#pragma once

#include "actors/simulation/sim_cluster.hpp"
#include "scheduler/planner.hpp"

#include <cmath>
#include <map>
#include <stdexcept>

namespace skippipe::actors::simulation {

/// A random feasible problem: 1-4 stages, 1-3 replicas each, skips and swaps, scarce memory.
inline scheduler::instance random_problem(random_source& random) {
  scheduler::instance problem;
  problem.name = "random";
  problem.stages = 1 + static_cast<std::uint32_t>(random.below(4));
  for (std::uint32_t s = 0; s < problem.stages; ++s) {
    const auto size = 1 + static_cast<std::uint32_t>(random.below(3));
    problem.stage_sizes.push_back(size);
    auto& stage = problem.arrangement.emplace_back();
    for (std::uint32_t i = 0; i < size; ++i) {
      stage.push_back(static_cast<node_id>(problem.nodes.size()));
      scheduler::node_spec node;
      node.name = "n" + std::to_string(problem.nodes.size());
      node.compute_s = 0.5 + random.uniform();
      node.memory = 1 + static_cast<std::uint32_t>(random.below(3));
      problem.nodes.push_back(node);
    }
  }
  const auto n = problem.nodes.size();
  problem.link_s.assign(n * n, 0.0);
  for (auto& seconds : problem.link_s)
    seconds = random.uniform();
  problem.path_length = problem.stages <= 2
                            ? problem.stages
                            : problem.stages - static_cast<std::uint32_t>(random.below(2));
  problem.microbatches_per_origin = 1 + static_cast<std::uint32_t>(random.below(5));
  return problem;
}

inline scheduler::plan random_plan(const scheduler::instance& problem, std::uint64_t seed) {
  scheduler::planner_options options;
  options.kind = scheduler::strategy::random;
  options.seed = seed;
  auto result = scheduler::make_plan(problem, options);
  if (auto* why = std::get_if<scheduler::infeasible>(&result))
    throw std::runtime_error(why->reason);
  auto plan = std::get<scheduler::plan>(std::move(result));
  plan.version = 1;
  return plan;
}

/// The job worked out without any actor: one shard per stage, one microbatch after the other along
/// its path. Wrapping sums make the order irrelevant, so every valid execution must agree.
struct oracle {
  std::vector<hash_shard> shards;

  oracle(std::uint64_t seed, std::size_t stages) {
    for (stage_id s = 0; s < stages; ++s)
      shards.emplace_back(seed, s);
  }

  /// Returns the loss.
  double run(const scheduler::plan& plan, iteration_no iteration, double clip) {
    const double scale = 1.0 / static_cast<double>(plan.paths.size());
    double loss = 0;
    for (const auto& path : plan.paths) {
      const auto id = path.microbatch;
      auto tensor = shards[0].first_forward(id, iteration, id);
      for (const auto& hop : path.hops)
        tensor = shards[hop.stage].forward(id, tensor);
      auto end = shards[0].loss(id, tensor, scale);
      loss += end.loss_sum;
      tensor = end.gradient;
      for (auto hop = path.hops.rbegin(); hop != path.hops.rend(); ++hop)
        tensor = shards[hop->stage].backward(id, tensor);
      shards[0].backward(id, tensor);
    }
    double total = 0;
    for (auto& shard : shards) {
      double stage = 0;
      for (auto squared : shard.squared_norms())
        stage += squared;
      total += stage;
    }
    const double norm = std::sqrt(total);
    const double factor = clip > 0 && norm > clip ? clip / norm : 1.0;
    for (auto& shard : shards)
      shard.update(iteration, factor);
    return loss / static_cast<double>(plan.paths.size());
  }
};

/// The tasks that each node started, by iteration, in order.
inline std::map<std::pair<node_id, iteration_no>, std::vector<trace::event>>
started_tasks(const sim_result& result) {
  std::map<std::pair<node_id, iteration_no>, std::vector<trace::event>> started;
  for (const auto& e : result.events)
    if (e.kind == trace::event_kind::started)
      started[{e.node, e.iteration}].push_back(e);
  return started;
}

inline std::vector<scheduler::planned_task> order_of(const std::vector<trace::event>& started) {
  std::vector<scheduler::planned_task> executed;
  for (const auto& e : started)
    executed.push_back({e.microbatch, e.task});
  return executed;
}

} // namespace skippipe::actors::simulation
