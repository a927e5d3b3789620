// skippipe train: runs a job, in this process or on a cluster.
#include "runtime/cli.hpp"
#include "runtime/commands/cluster_option.hpp"
#include "runtime/config/job_config.hpp"
#include "runtime/daemon/submission.hpp"
#include "runtime/train/go_on.hpp"
#include "runtime/train/training_run.hpp"

#include <memory>

namespace skippipe::runtime {

namespace {

struct train_words {
  daemon::cluster_words cluster;
  std::string file, run_dir, resume;
  std::vector<std::string> overrides;
  iteration_no iterations = 0;
  std::uint64_t seed = 0;
  bool json = false, detach = false;
};

/// The command that goes on with what these words begin, once --resume RUN is added.
std::string to_go_on(const train_words& words, bool seeded) {
  std::string command = "skippipe train " + shell_word(words.file);
  const auto add = [&](const char* option, const std::string& value) {
    command += std::string{" "} + option + " " + shell_word(value);
  };
  for (const auto& word : words.overrides)
    add("--set", word);
  if (seeded)
    add("--seed", std::to_string(words.seed));
  if (words.iterations != 0)
    add("--iterations", std::to_string(words.iterations));
  return command;
}

} // namespace

void add_train(CLI::App& app, command_context& context, embedded_runner run_embedded) {
  auto* train = app.add_subcommand("train", "Train a model as a job file says");
  auto words = std::make_shared<train_words>();
  train->add_option("JOB", words->file, "The job's TOML file")->required();
  train->add_option("--run-dir", words->run_dir,
                    "Folder for this run, new or empty (default runs/NAME-N)");
  train->add_option("--resume", words->resume,
                    "Go on with a run: its folder, or one of its checkpoints");
  auto* iterations = train
                         ->add_option("--iterations", words->iterations,
                                      "Stop after this iteration, counted from the run's first")
                         ->check(at_least(1));
  auto* seed = train->add_option("--seed", words->seed, "Overrides train.seed")->check(at_least(0));
  train->add_option("--set", words->overrides, "Overrides a key: --set train.lr=1e-3")
      ->allow_extra_args(false);
  add_cluster_options(*train, words->cluster);
  train->add_flag("--detach", words->detach,
                  "With --cluster: submit, send the data, do not follow");
  train->add_flag("--json", words->json, "One JSON object per line on stdout");
  train->callback([&context, words, iterations, seed, run_embedded] {
    context.run = [words, iterations, seed, run_embedded] {
      const auto command = to_go_on(*words, seed->count() > 0);
      auto overrides = words->overrides;
      if (seed->count() > 0)
        overrides.push_back("train.seed=" + std::to_string(words->seed));
      if (run_embedded == nullptr)
        return daemon::submit_job(words->cluster,
                                  {words->file, overrides, words->run_dir, words->resume, command,
                                   words->iterations, words->detach, words->json});
      if (words->detach)
        throw command_error("--detach goes with --cluster", exit_usage);
      problem_list problems;
      auto job = load_job(words->file, overrides, problems);
      if (!job)
        throw as_error(problems);
      training_request request;
      request.job = std::move(*job);
      request.run_dir = words->run_dir;
      request.resume = words->resume;
      request.json = words->json;
      request.command = command;
      if (iterations->count() > 0)
        request.last = words->iterations;
      return run_embedded(request);
    };
  });
}

} // namespace skippipe::runtime
