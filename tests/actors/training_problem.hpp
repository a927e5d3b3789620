// A small training job, run by the embedded cluster and by a plain loop.
#pragma once

#include "model/shard_snapshot.hpp"
#include "runtime/embedded/embedded_cluster.hpp"
#include "scheduler/path_rules.hpp"
#include "scheduler/planner.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace skippipe {

struct training_problem {
  model::model_options model;
  model::optimizer_options optimizer;
  std::uint32_t stages = 4;
  std::uint32_t path_length = 4;
  std::uint32_t microbatches = 6; ///< Of an iteration; the origins divide them.
  std::vector<std::uint32_t> replicas{2, 2, 1, 1};
  std::uint32_t memory = 3;
  std::uint64_t route_seed = 11;
  std::uint64_t plan_seed = 1;
  std::uint64_t iterations = 20;
  bool deterministic = false;
  unsigned threads = 2;
  std::string device = "cpu";

  training_problem() {
    model.dim = 16;
    model.layers = 6;
    model.heads = 4;
    model.kv_heads = 2;
    model.ffn = 24;
    model.vocab = 37;
    model.context = 8;
    optimizer.lr = 1e-3;
    optimizer.warmup = 3;
    optimizer.total_iterations = 40;
    optimizer.clip = 0.5; // Below the norms of the first iterations: clipping happens.
  }

  /// Tokens with something to learn, a pure function of (iteration, id).
  std::vector<std::int64_t> sample(std::uint64_t iteration, std::uint64_t id) const {
    const std::size_t time = model.context + 1;
    std::vector<std::int64_t> result;
    for (std::uint64_t row = 0; row < 2; ++row) {
      std::int64_t token = static_cast<std::int64_t>((iteration * 31 + id * 7 + row * 13) % 37);
      for (std::size_t t = 0; t < time; ++t) {
        result.push_back(token);
        token = (token * 3 + static_cast<std::int64_t>(row) + 1) % 37;
      }
    }
    return result;
  }

  std::vector<scheduler::route> routes() const {
    return scheduler::deterministic_routes(stages, path_length, {}, microbatches, route_seed);
  }

  scheduler::instance instance() const {
    scheduler::instance problem;
    problem.name = "test";
    problem.stages = stages;
    problem.path_length = path_length;
    problem.stage_sizes = replicas;
    problem.microbatches_per_origin = microbatches / replicas[0];
    problem.routes = routes();
    for (std::uint32_t s = 0; s < stages; ++s)
      for (std::uint32_t r = 0; r < replicas[s]; ++r) {
        scheduler::node_spec node;
        node.name = "n" + std::to_string(problem.nodes.size());
        node.memory = memory;
        problem.nodes.push_back(node);
      }
    problem.link_s.assign(problem.nodes.size() * problem.nodes.size(), 0.1);
    return problem;
  }

  scheduler::plan plan() const {
    scheduler::planner_options options;
    options.kind = scheduler::strategy::random;
    options.seed = plan_seed;
    auto result = scheduler::make_plan(instance(), options);
    if (auto* why = std::get_if<scheduler::infeasible>(&result))
      throw std::runtime_error(why->reason);
    auto made = std::get<scheduler::plan>(std::move(result));
    made.version = 1;
    return made;
  }
};

struct training_result {
  std::string failure;
  std::vector<double> losses;
  std::map<std::string, at::Tensor> parameters; ///< At the end, by name.
};

inline training_result train_embedded(const training_problem& problem) {
  training_result result;
  std::mutex mutex;
  runtime::embedded_options options;
  options.model = problem.model;
  options.optimizer = problem.optimizer;
  options.ranges = model::partition(problem.model.layers, problem.stages);
  options.deterministic = problem.deterministic;
  options.seed = 5;
  options.microbatch_size = 2;
  options.threads = problem.threads;
  options.device = problem.device;
  options.samples.training = [&](iteration_no t, microbatch_id id) {
    return problem.sample(t, id);
  };
  options.job.plan = problem.plan();
  options.job.memory.assign(options.job.plan.order.size(), problem.memory);
  options.job.last = problem.iterations;
  options.job.clip = problem.optimizer.clip;
  options.job.observer.on_iteration = [&](const actors::iteration_report& report) {
    result.losses.push_back(report.loss);
  };
  options.job.publish_checkpoint = [](iteration_no) {};
  options.write_snapshot = [&](const model::shard_snapshot& taken) {
    std::lock_guard guard{mutex};
    for (const auto& info : taken.parameters)
      result.parameters[info.name] = taken.values.narrow(0, info.offset, info.size).clone();
  };
  runtime::embedded_cluster cluster{std::move(options)};
  result.failure = cluster.run();
  return result;
}

/// The plain loop: one process, one microbatch after the other along its route, one shard per stage
/// (a single shard for all layers would do for full paths), one clip factor, one update.
inline training_result train_plain(const training_problem& problem) {
  training_result result;
  std::vector<model::shard> shards;
  for (const auto& range : model::partition(problem.model.layers, problem.stages)) {
    model::shard_options options;
    options.model = problem.model;
    options.range = range;
    options.optimizer = problem.optimizer;
    options.seed = 5;
    shards.emplace_back(options);
  }
  const auto routes = problem.routes();
  const std::int64_t time = problem.model.context;
  const double scale = 1.0 / static_cast<double>(problem.microbatches * 2 * time);
  for (std::uint64_t t = 1; t <= problem.iterations; ++t) {
    double loss = 0;
    for (std::uint32_t id = 0; id < problem.microbatches; ++id) {
      const auto tokens = at::tensor(problem.sample(t, id), at::kLong).view({2, time + 1});
      auto x = shards[0].forward(0, tokens.narrow(1, 0, time));
      for (auto stage : routes[id])
        x = shards[stage].forward(0, x);
      auto end = shards[0].loss(0, x, tokens.narrow(1, 1, time), scale);
      loss += end.loss_sum * scale;
      auto grad = end.grad;
      for (auto stage = routes[id].rbegin(); stage != routes[id].rend(); ++stage)
        grad = shards[*stage].backward(0, grad);
      shards[0].backward(0, grad);
    }
    result.losses.push_back(loss);
    double squares = 0;
    for (auto& shard : shards)
      squares += shard.gradients().to(at::kDouble).square().sum().item<double>();
    const double norm = std::sqrt(squares);
    const double clip = problem.optimizer.clip;
    for (auto& shard : shards) {
      shard.step(t, norm > clip ? clip / norm : 1.0);
      shard.zero_gradients();
    }
  }
  for (auto& shard : shards)
    for (const auto& info : shard.parameters())
      result.parameters[info.name] = shard.values().narrow(0, info.offset, info.size).clone();
  return result;
}

} // namespace skippipe
