#include "runtime/train/job_setup.hpp"

#include "actors/trace/plan_record.hpp"
#include "model/generate.hpp"
#include "runtime/command_error.hpp"
#include "runtime/config/memory_estimate.hpp"
#include "runtime/train/evaluation_paths.hpp"
#include "scheduler/simulator.hpp"
#include "scheduler/survivors.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <thread>
#include <variant>

namespace skippipe::runtime {

using namespace skippipe::actors;

unsigned planning_threads() { return std::clamp(std::thread::hardware_concurrency(), 1u, 8u); }

namespace {

scheduler::plan feasible(scheduler::plan_result result) {
  if (const auto* why = std::get_if<scheduler::infeasible>(&result))
    throw command_error("no feasible plan: " + why->reason + "; nearest: " + why->nearest,
                        exit_infeasible);
  return std::get<scheduler::plan>(std::move(result));
}

} // namespace

scheduler::plan plan_job(const scheduler::instance& problem, const job_config& job, double seconds,
                         unsigned threads) {
  scheduler::planner_options options;
  options.kind = job.pipeline.strategy;
  options.seed = job.seed;
  options.time_limit_s = seconds;
  options.threads = threads;
  auto plan = feasible(scheduler::make_plan(problem, options));
  plan.version = 1;
  return plan;
}

namespace {

void add_evaluations(const job_config& job, const scheduler::plan& plan,
                     std::vector<evaluation_plan>& eval, std::vector<evaluation_plan>& final_eval) {
  const auto& arrangement = plan.arrangement;
  eval = {evaluation_paths(arrangement, job.eval_batches, 0, "full")};
  const auto others = static_cast<std::uint32_t>(arrangement.size() - 1);
  for (auto count : std::set<std::uint32_t>{1, (others + 1) / 2})
    if (count > 0 && count <= others)
      final_eval.push_back(evaluation_paths(arrangement, job.eval_batches, count,
                                            std::to_string(count) + " of "
                                                + std::to_string(arrangement.size())
                                                + " stages left out"));
}

} // namespace

adjusted_plan plan_again(const scheduler::instance& problem, const job_config& job,
                         const scheduler::plan& running, const std::set<node_id>& gone,
                         double time_scale) {
  const bool lost =
      std::any_of(running.arrangement.begin(), running.arrangement.end(), [&](const auto& stage) {
        return std::any_of(stage.begin(), stage.end(), [&](node_id x) { return gone.contains(x); });
      });
  scheduler::planner_options options;
  options.kind = job.pipeline.strategy;
  options.seed = job.seed;
  // Who lost a node waits for the plan; else training goes on meanwhile.
  options.time_limit_s = lost ? scheduler::hurried_seconds(problem, running, time_scale)
                              : scheduler::worthwhile_seconds(problem, time_scale);
  options.threads = lost ? planning_threads() : 1;
  adjusted_plan result;
  result.plan = feasible(scheduler::plan_again(problem, running, gone, options));
  add_evaluations(job, result.plan, result.eval, result.final_eval);
  return result;
}

void record_plan(const std::filesystem::path& run_dir, const scheduler::instance& problem,
                 const scheduler::plan& plan, double time_scale) {
  if (const auto problem_code =
          trace::write_plan_record(run_dir, plan, times_of(problem, plan, time_scale)))
    throw std::runtime_error(run_dir.string()
                             + ": the plan cannot be written: " + problem_code.message());
}

sample_source make_samples(std::shared_ptr<const model::dataset> data, const job_config& job) {
  sample_source samples;
  samples.training = [data, seed = job.seed, total = job.microbatches(),
                      rows = job.pipeline.microbatch_size](iteration_no t, microbatch_id id) {
    return data->sample(seed, t, id, total, rows);
  };
  samples.validation = [data, total = job.eval_batches, rows = job.pipeline.microbatch_size](
                           microbatch_id batch) { return data->validation(batch, total, rows); };
  return samples;
}

torch_shard_options shard_options_of(const job_config& job, stage_id stage,
                                     const sample_source& samples) {
  torch_shard_options options;
  options.shard.model = job.model;
  options.shard.range =
      model::partition(job.model.layers, job.pipeline.stages, job.pipeline.layers_per_stage)
          .at(stage);
  options.shard.optimizer = job.optimizer;
  options.shard.accumulate =
      job.pipeline.deterministic ? model::accumulation::fixed_point : model::accumulation::native;
  options.shard.device = job.device;
  options.shard.seed = job.seed;
  options.microbatch_size = job.pipeline.microbatch_size;
  options.samples = samples;
  return options;
}

job_options make_job_options(const job_config& job, const scheduler::instance& problem,
                             scheduler::plan plan, double time_scale, checkpointing& checkpoints,
                             iteration_no last) {
  job_options options;
  options.plan = std::move(plan);
  for (const auto& node : problem.nodes) {
    options.memory.push_back(node.memory);
    options.names.push_back(node.name);
  }
  options.committed = checkpoints.committed();
  options.checkpoint = checkpoints.source().string();
  options.last = last;
  options.clip = job.optimizer.clip;
  options.eval_every = job.eval_every;
  options.eval_at_start = checkpoints.committed() == 0;
  add_evaluations(job, options.plan, options.eval, options.final_eval);
  options.adjust = [problem, job, time_scale](const scheduler::plan& running,
                                              const std::set<node_id>& gone,
                                              const scheduler::cost_tracker&) {
    return plan_again(problem, job, running, gone, time_scale);
  };
  options.checkpoint_every = job.checkpoint_every;
  options.publish_checkpoint = [&checkpoints](iteration_no t) { checkpoints.publish(t); };
  options.journal = [&checkpoints](const commit& entry) { checkpoints.journal(entry); };
  return options;
}

void follow_costs(job_options& options, const job_config& job, const scheduler::instance& problem,
                  const scheduler::workload& work, const scheduler::drift_options& drift) {
  const auto measured = [problem, work](const scheduler::cost_tracker& costs) {
    return costs.applied_to(problem, work);
  };
  options.adjust = [measured, job](const scheduler::plan& running, const std::set<node_id>& gone,
                                   const scheduler::cost_tracker& costs) {
    // Nodes that nothing is known of count in forwards.
    const double time_scale = costs.knows_tasks() ? 1 : 1 / guessed_forward_s(job);
    return plan_again(measured(costs), job, running, gone, time_scale);
  };
  options.costs.problem = measured;
  options.costs.drift = drift;
  options.times = [measured](const scheduler::plan& plan, const scheduler::cost_tracker& costs) {
    return costs.knows_tasks() ? times_of(measured(costs), plan, 1) : plan_times{};
  };
}

namespace {

std::vector<model::shard_range> ranges_of(const job_config& job) {
  return model::partition(job.model.layers, job.pipeline.stages, job.pipeline.layers_per_stage);
}

} // namespace

scheduler::workload workload_of(const job_config& job, double wire_bytes) {
  scheduler::workload work;
  for (const auto& range : ranges_of(job)) {
    work.stage_weight.push_back(std::max(1u, range.layer_count));
    work.sync_bytes.push_back(
        static_cast<double>(estimate_memory({job.model, range, job.pipeline.microbatch_size, 1,
                                             job.pipeline.deterministic})
                                .gradients));
  }
  work.payload_bytes = wire_bytes * job.pipeline.microbatch_size
                       * static_cast<double>(job.model.context)
                       * static_cast<double>(job.model.dim);
  return work;
}

double guessed_forward_s(const job_config& job) {
  constexpr double flops = 5e10; // Of a core.
  const auto layers = static_cast<double>(job.model.layers) / job.pipeline.stages;
  const auto dim = static_cast<double>(job.model.dim), ffn = static_cast<double>(job.model.ffn);
  const auto tokens =
      static_cast<double>(job.pipeline.microbatch_size) * static_cast<double>(job.model.context);
  return 1e-3 + 2 * tokens * layers * (4 * dim * dim + 3 * dim * ffn) / flops;
}

std::string sample_text(const job_config& job, const model::dataset& data,
                        const std::filesystem::path& checkpoint) {
  std::vector<model::shard> shards;
  for (const auto& range :
       model::partition(job.model.layers, job.pipeline.stages, job.pipeline.layers_per_stage)) {
    model::shard_options shard;
    shard.model = job.model;
    shard.range = range;
    shards.emplace_back(shard);
    checkpointing::restore_from(checkpoint, shards.back());
  }
  const auto tokens = data.load_tokenizer();
  model::generation_options generation;
  generation.tokens = job.sample_tokens;
  generation.seed = job.seed;
  return tokens->decode(
      model::generate(shards, tokens->encode(sample_prompt), tokens->end_of_text(), generation));
}

} // namespace skippipe::runtime
