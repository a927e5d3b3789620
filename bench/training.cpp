// Tokens per second of one training job: as a plain loop over one whole model, or as the embedded
// pipeline. bench/training.sh runs both, interleaved, beside python3-torch.
//
// usage: bench_training loop|pipeline [DIM LAYERS CONTEXT ROWS MICROBATCHES DTYPE ITERATIONS REPLICAS]
// The loop uses as many intra-op threads as OMP_NUM_THREADS says; the pipeline as many workers as
// SKIPPIPE_BENCH_WORKERS says (default 2), each with one.
#include "model/shard.hpp"
#include "runtime/embedded/embedded_cluster.hpp"
#include "scheduler/planner.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

using namespace skippipe;

namespace {

struct settings {
  model::model_options model;
  std::uint32_t rows = 8, microbatches = 8, stages = 4, replicas = 1;
  std::uint64_t iterations = 6;
};

std::vector<std::int64_t> sample(const settings& s, std::uint64_t key) {
  std::vector<std::int64_t> result(std::size_t{s.rows} * (s.model.context + 1));
  for (auto& token : result) {
    key = key * 6364136223846793005ULL + 1442695040888963407ULL;
    token = static_cast<std::int64_t>((key >> 33) % s.model.vocab);
  }
  return result;
}

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double tokens_per_iteration(const settings& s) {
  return static_cast<double>(s.microbatches) * s.rows * s.model.context;
}

/// One process, one whole model, one microbatch after the other.
double run_loop(const settings& s) {
  model::shard_options options;
  options.model = s.model;
  options.range = {0, 0, s.model.layers};
  model::shard shard{options};
  const std::int64_t rows = s.rows, time = s.model.context;
  const double scale = 1.0 / tokens_per_iteration(s);
  double start = 0;
  for (std::uint64_t t = 0; t <= s.iterations; ++t) {
    if (t == 1)
      start = seconds(); // The first iteration warms up.
    for (std::uint32_t m = 0; m < s.microbatches; ++m) {
      const auto tokens = at::tensor(sample(s, t * 100 + m), at::kLong).view({rows, time + 1});
      auto x = shard.forward(0, tokens.narrow(1, 0, time).contiguous());
      auto end = shard.loss(0, x, tokens.narrow(1, 1, time).contiguous(), scale);
      shard.backward(0, end.grad);
    }
    double squares = 0;
    for (auto norm : shard.squared_norms())
      squares += norm;
    shard.step(t + 1, std::min(1.0, 1.0 / std::sqrt(squares)));
    shard.zero_gradients();
  }
  return tokens_per_iteration(s) * static_cast<double>(s.iterations) / (seconds() - start);
}

double run_pipeline(const settings& s, unsigned workers) {
  scheduler::instance problem;
  problem.name = "bench";
  problem.stages = problem.path_length = s.stages;
  problem.stage_sizes.assign(s.stages, s.replicas);
  problem.microbatches_per_origin = s.microbatches / s.replicas;
  for (std::uint32_t i = 0; i < s.stages * s.replicas; ++i) {
    scheduler::node_spec node;
    node.name = "n" + std::to_string(i);
    node.memory = s.stages;
    problem.nodes.push_back(node);
  }
  problem.link_s.assign(problem.nodes.size() * problem.nodes.size(), 0.0);
  scheduler::planner_options planning;
  planning.kind = scheduler::strategy::full;
  runtime::embedded_options options;
  options.job.plan = std::get<scheduler::plan>(scheduler::make_plan(problem, planning));
  options.job.plan.version = 1;
  options.job.memory.assign(problem.nodes.size(), s.stages);
  options.job.last = s.iterations + 1;
  options.job.clip = 1;
  options.model = s.model;
  options.ranges = model::partition(s.model.layers, s.stages);
  options.microbatch_size = s.rows;
  options.threads = workers;
  options.samples.training = [s](iteration_no t, microbatch_id id) {
    return sample(s, t * 100 + id);
  };
  double start = 0, end = 0;
  options.job.observer.on_iteration = [&](const actors::iteration_report& report) {
    if (report.iteration == 1)
      start = seconds();
    end = seconds();
  };
  const auto failure = runtime::embedded_cluster{std::move(options)}.run();
  if (!failure.empty()) {
    std::fprintf(stderr, "%s\n", failure.c_str());
    std::exit(1);
  }
  return tokens_per_iteration(s) * static_cast<double>(s.iterations) / (end - start);
}

} // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  settings s;
  const auto number = [&](int i, std::uint32_t fallback) {
    return argc > i ? static_cast<std::uint32_t>(std::atoi(argv[i])) : fallback;
  };
  s.model.dim = number(2, 192);
  s.model.layers = number(3, 8);
  s.model.heads = s.model.dim / (s.model.dim >= 512 ? 64 : 32);
  s.model.kv_heads = s.model.heads / 2;
  s.model.ffn = s.model.dim * 8 / 3 / 32 * 32;
  s.model.context = number(4, 128);
  s.model.vocab = 2048;
  s.rows = number(5, 8);
  s.microbatches = number(6, 8);
  s.model.compute = argc > 7 && std::string{argv[7]} == "bfloat16" ? model::dtype::bfloat16
                                                                   : model::dtype::float32;
  s.iterations = number(8, 6);
  s.replicas = number(9, 1);
  const char* workers = std::getenv("SKIPPIPE_BENCH_WORKERS");
  if (mode == "loop")
    std::printf("%.0f\n", run_loop(s));
  else if (mode == "pipeline")
    std::printf(
        "%.0f\n",
        run_pipeline(s, workers != nullptr ? static_cast<unsigned>(std::atoi(workers)) : 2));
  else
    return std::fprintf(stderr, "usage: bench_training loop|pipeline [DIM LAYERS CONTEXT ROWS "
                                "MICROBATCHES DTYPE ITERATIONS REPLICAS]\n"),
           2;
  return 0;
}
