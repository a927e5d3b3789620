#include "runtime/train/training_run.hpp"

#include "actors/trace/plan_record.hpp"
#include "model/dataset.hpp"
#include "model/generate.hpp"
#include "model/prepare.hpp"
#include "runtime/cli.hpp"
#include "runtime/embedded/embedded_cluster.hpp"
#include "runtime/train/checkpointing.hpp"
#include "runtime/train/evaluation_paths.hpp"
#include "runtime/train/reporter.hpp"
#include "runtime/train/run_folder.hpp"
#include "runtime/train/stop_signal.hpp"
#include "scheduler/simulator.hpp"

#include <algorithm>
#include <memory>
#include <set>
#include <thread>

namespace skippipe::runtime {

namespace {

using namespace skippipe::actors;

std::filesystem::path ensure_data(const job_config& job, reporter& report) {
  if (!job.data.dir.empty())
    return job.data.dir;
  model::prepare_options prepare;
  prepare.inputs = model::corpus_files(job.data.corpus);
  prepare.tokenizer = job.data.tokenizer;
  prepare.vocab_size = job.data.vocab_size;
  prepare.out =
      std::filesystem::path{".cache"}
      / (job.data.corpus + "-" + job.data.tokenizer + "-" + std::to_string(job.data.vocab_size));
  prepare.progress = [&](const std::string& what, double done) { report.preparing(what, done); };
  const auto made = model::prepare_data(prepare);
  report.prepared(prepare.out, made);
  return prepare.out;
}

scheduler::plan plan_job(const scheduler::instance& problem, const job_config& job) {
  scheduler::planner_options options;
  options.kind = job.pipeline.strategy;
  options.seed = job.seed;
  options.time_limit_s = 1;
  auto result = scheduler::make_plan(problem, options);
  if (auto* why = std::get_if<scheduler::infeasible>(&result))
    throw command_error("no feasible plan: " + why->reason + "; nearest: " + why->nearest,
                        exit_infeasible);
  auto plan = std::get<scheduler::plan>(std::move(result));
  plan.version = 1;
  return plan;
}

void record_plan(const std::filesystem::path& run_dir, const scheduler::instance& problem,
                 const scheduler::plan& plan) {
  const auto planned = trace::times_of(plan, scheduler::simulate(problem, plan.paths, plan.order));
  if (const auto problem_code = trace::write_plan_record(run_dir, plan, planned))
    throw std::runtime_error(run_dir.string()
                             + ": the plan cannot be written: " + problem_code.message());
}

} // namespace

int run_training(const training_request& request) {
  auto job = request.job;
  const iteration_no last = request.last.value_or(job.optimizer.total_iterations);
  stop_signal signals;
  reporter report{request.json, last};

  const auto data_dir = ensure_data(job, report);
  const auto data = std::make_shared<model::dataset>(data_dir, job.model.context);
  if (data->vocab() != job.model.vocab)
    throw std::runtime_error(data_dir.string() + ": holds a vocabulary of "
                             + std::to_string(data->vocab()) + ", the job says model.vocab = "
                             + std::to_string(job.model.vocab) + "; make them equal");

  checkpointing checkpoints{job, *data, request.resume, report};
  if (job.pipeline.deterministic)
    job.kept_microbatches = checkpoints.microbatches();
  const auto run_dir = checkpoints.run_dir().empty() ? create_run_folder(request.run_dir, job.name)
                                                     : checkpoints.run_dir();
  checkpoints.open(run_dir);

  const auto problem = job.instance();
  embedded_options options;
  options.job.plan = plan_job(problem, job);
  record_plan(run_dir, problem, options.job.plan);
  report.started(run_dir, job, options.job.plan, checkpoints.committed());

  options.model = job.model;
  options.optimizer = job.optimizer;
  options.ranges =
      model::partition(job.model.layers, job.pipeline.stages, job.pipeline.layers_per_stage);
  options.deterministic = job.pipeline.deterministic;
  options.seed = job.seed;
  options.device = job.device;
  options.microbatch_size = job.pipeline.microbatch_size;
  options.threads =
      job.threads != 0 ? job.threads : std::max(1u, std::thread::hardware_concurrency());
  options.run_dir = run_dir;
  options.samples.training =
      [data, seed = job.seed, total = job.microbatches(), rows = job.pipeline.microbatch_size](
          iteration_no t, microbatch_id id) { return data->sample(seed, t, id, total, rows); };
  options.samples.validation = [data, total = job.eval_batches,
                                rows = job.pipeline.microbatch_size](microbatch_id batch) {
    return data->validation(batch, total, rows);
  };
  options.job.memory.assign(problem.nodes.size(), job.pipeline.memory_microbatches);
  options.job.committed = checkpoints.committed();
  options.job.checkpoint = checkpoints.source().string();
  options.job.last = last;
  options.job.clip = job.optimizer.clip;
  options.job.eval_every = job.eval_every;
  options.job.eval_at_start = checkpoints.committed() == 0;
  const auto& arrangement = options.job.plan.arrangement;
  options.job.eval = {evaluation_paths(arrangement, job.eval_batches, 0, "full")};
  const auto others = static_cast<std::uint32_t>(arrangement.size() - 1);
  std::set<std::uint32_t> left_out{1, (others + 1) / 2};
  for (auto count : left_out)
    if (count > 0 && count <= others)
      options.job.final_eval.push_back(evaluation_paths(arrangement, job.eval_batches, count,
                                                        std::to_string(count) + " of "
                                                            + std::to_string(arrangement.size())
                                                            + " stages left out"));
  options.job.checkpoint_every = job.checkpoint_every;
  options.job.publish_checkpoint = [&](iteration_no t) { checkpoints.publish(t); };
  options.write_snapshot = [&](const model::shard_snapshot& taken) { checkpoints.write(taken); };
  if (!checkpoints.source().empty())
    options.restore = [&](model::shard& shard) { checkpoints.restore(shard); };
  options.job.journal = [&](const commit& entry) { checkpoints.journal(entry); };
  options.job.observer.on_iteration = [&](const iteration_report& x) { report.iteration(x); };
  options.job.observer.on_evaluation = [&](const evaluation_report& x) { report.evaluation(x); };
  options.job.observer.on_checkpoint = [&](iteration_no t, const std::string& why) {
    report.checkpoint(t, why);
  };

  const auto ranges = options.ranges;
  embedded_cluster cluster{std::move(options)};
  signals.watch([&] {
    report.stopping();
    cluster.request_stop();
  });
  const auto failure = cluster.run();
  report.end_of_bar();
  if (!failure.empty())
    throw std::runtime_error(failure);
  if (const auto why = checkpoints.problem(); !why.empty())
    throw std::runtime_error(why);

  const auto newest = checkpoints.newest();
  if (job.sample_tokens > 0 && !report.stopped() && !newest.empty()) {
    std::vector<model::shard> shards;
    for (const auto& range : ranges) {
      model::shard_options shard;
      shard.model = job.model;
      shard.range = range;
      shards.emplace_back(shard);
      checkpoints.restore_from(newest, shards.back());
    }
    const auto tokens = data->load_tokenizer();
    model::generation_options generation;
    generation.tokens = job.sample_tokens;
    generation.seed = job.seed;
    const std::string prompt = "The function ";
    report.sample(prompt, tokens->decode(model::generate(shards, tokens->encode(prompt),
                                                         tokens->end_of_text(), generation)));
  }
  report.done(newest);
  return 0;
}

} // namespace skippipe::runtime
