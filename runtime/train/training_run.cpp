#include "runtime/train/training_run.hpp"

#include "model/device.hpp"
#include "runtime/command_error.hpp"
#include "runtime/embedded/embedded_cluster.hpp"
#include "runtime/output.hpp"
#include "runtime/terminal.hpp"
#include "runtime/train/checkpointing.hpp"
#include "runtime/train/job_data.hpp"
#include "runtime/train/job_setup.hpp"
#include "runtime/train/reporter.hpp"
#include "runtime/train/run_folder.hpp"
#include "runtime/train/stop_signal.hpp"

#include <algorithm>
#include <csignal>
#include <functional>
#include <iostream>
#include <memory>
#include <thread>

namespace skippipe::runtime {

using namespace skippipe::actors;

int run_training(const training_request& request) {
  auto job = request.job;
  if (const auto why = model::device_obstacle(job.device); !why.empty())
    throw command_error("cluster.device = '" + job.device + "': " + why);
  if (request.resume.empty())
    refuse_used_folder(request.run_dir);
  const iteration_no last = request.last.value_or(job.optimizer.total_iterations);
  stop_signal signals;
  reporter report{request.json};
  report.goes_on_with(request.command);

  const auto data_dir = ensure_data(job, report);
  const auto data = open_data(data_dir, job);

  checkpointing checkpoints{job, *data, request.resume,
                            [&](const std::string& line) { report.note(line); }};
  if (job.pipeline.deterministic)
    job.kept_microbatches = checkpoints.microbatches();
  const auto run_dir = checkpoints.run_dir().empty() ? create_run_folder(request.run_dir, job.name)
                                                     : checkpoints.run_dir();
  const run_folder_lock lock{run_dir};
  if (request.resume.empty())
    if (const auto aside = set_remains_aside(run_dir); !aside.empty())
      report.note("note: what a run without a checkpoint left here is now in " + aside.string());
  checkpoints.open(run_dir);

  const auto problem = job.instance();
  embedded_options options;
  // Nodes here count in forwards; a guess makes seconds of them.
  const double time_scale = 1 / guessed_forward_s(job);
  options.job =
      make_job_options(job, problem, plan_job(problem, job), time_scale, checkpoints, last);
  record_plan(run_dir, problem, options.job.plan, time_scale);
  report.started(summary_of(run_dir, job, options.job.plan, checkpoints.committed(), last));
  if (checkpoints.committed() >= last)
    report.note("nothing to train: iteration " + std::to_string(last)
                + ", the last one, is done; --iterations takes a later one");

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
  options.samples = make_samples(data, job);
  options.write_snapshot = [&](const model::shard_snapshot& taken) { checkpoints.write(taken); };
  if (!checkpoints.source().empty())
    options.restore = [&](model::shard& shard) { checkpoints.restore(shard); };
  // Who reads along may end first, as `tee` does at Ctrl-C: a request to stop, with a checkpoint.
  std::function<void()> request_stop;
  const auto heard = [&] {
    if (report.output_lost())
      request_stop();
  };
  options.job.observer.on_iteration = [&](const iteration_report& x) {
    report.iteration(x);
    heard();
  };
  options.job.observer.on_evaluation = [&](const evaluation_report& x) {
    report.evaluation(x);
    heard();
  };
  options.job.observer.on_checkpoint = [&](iteration_no t, const std::string& why) {
    report.checkpoint(t, why);
  };

  embedded_cluster cluster{std::move(options)};
  request_stop = [&] { cluster.request_stop(); };
  std::signal(SIGPIPE, SIG_IGN);
  signals.watch(
      [&] {
        report.stopping();
        cluster.request_stop();
      },
      // Straight to stderr: whoever holds the reporter may be blocked.
      [&] {
        const char* bar_end = redraws(STDOUT_FILENO) ? "\n" : "";
        std::cerr << bar_end + left_behind(run_dir, request.command) + "\n" << std::flush;
      });
  const auto failure = cluster.run();
  report.end_of_bar();
  if (!failure.empty())
    throw std::runtime_error(failure);
  if (const auto why = checkpoints.problem(); !why.empty())
    throw std::runtime_error(why);

  const auto newest = checkpoints.newest();
  if (job.sample_tokens > 0 && !report.stopped() && !report.output_lost() && !newest.empty())
    report.sample(sample_prompt, sample_text(job, *data, newest));
  report.done(newest);
  if (report.output_lost())
    throw command_error(output_problem() + "; " + report.unheard(newest));
  return 0;
}

} // namespace skippipe::runtime
