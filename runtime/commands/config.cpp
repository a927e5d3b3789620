// skippipe config: check a file, print a default one.
#include "runtime/cli.hpp"
#include "runtime/config/default_files.hpp"
#include "runtime/config/job_config.hpp"
#include "runtime/config/memory_estimate.hpp"
#include "runtime/config/node_config.hpp"
#include "runtime/config/toml_document.hpp"

#include <cstdio>
#include <iostream>
#include <memory>

namespace skippipe::runtime {

namespace {

/// What a file configures, by the tables it has.
std::string kind_of(const toml_document& document) {
  for (const auto* name : {"job", "model", "pipeline", "train", "data", "checkpoint"})
    if (document.root().contains(name))
      return "job";
  return document.root().contains("cluster") ? "cluster" : "node";
}

std::string size_text(std::uint64_t bytes) {
  char text[32];
  constexpr double mega = 1e6, giga = 1e9;
  const auto b = static_cast<double>(bytes);
  if (b >= giga)
    std::snprintf(text, sizeof text, "%.2f GB", b / giga);
  else
    std::snprintf(text, sizeof text, "%.1f MB", b / mega);
  return text;
}

void print_memory(const job_config& job) {
  const auto row = [](const char* stage, const char* replicas, const std::string& weights,
                      const std::string& gradients, const std::string& optimizer,
                      const std::string& activations, const std::string& boundary,
                      const std::string& snapshot, const std::string& total) {
    std::printf("%-6s %8s %10s %10s %10s %12s %10s %10s %10s\n", stage, replicas, weights.c_str(),
                gradients.c_str(), optimizer.c_str(), activations.c_str(), boundary.c_str(),
                snapshot.c_str(), total.c_str());
  };
  std::cout << "memory of one node, by the stage it serves (plus about 160 MB for the process):\n"
            << std::flush;
  row("stage", "replicas", "weights", "gradients", "optimizer", "activations", "boundary",
      "snapshot", "total");
  std::uint64_t all = 0;
  const auto ranges =
      model::partition(job.model.layers, job.pipeline.stages, job.pipeline.layers_per_stage);
  for (const auto& range : ranges) {
    memory_question question;
    question.model = job.model;
    question.range = range;
    question.microbatch_size = job.pipeline.microbatch_size;
    question.memory_microbatches = job.pipeline.memory_microbatches;
    question.deterministic = job.pipeline.deterministic;
    question.snapshot = true; // One is written at the end at least.
    const auto m = estimate_memory(question);
    const auto replicas = job.replicas[range.stage];
    all += (m.total() - m.snapshot) * replicas + m.snapshot; // One replica of a stage writes.
    row(std::to_string(range.stage).c_str(), std::to_string(replicas).c_str(), size_text(m.weights),
        size_text(m.gradients), size_text(m.optimizer), size_text(m.activations),
        size_text(m.boundary), size_text(m.snapshot), size_text(m.total()));
  }
  std::printf("all %u nodes in one process: %s\n", job.nodes, size_text(all).c_str());
}

int check(const std::string& file) {
  problem_list problems;
  const auto document = toml_document::load(file, problems);
  if (!document)
    throw command_error(problems.text());
  const auto kind = kind_of(*document);
  if (kind == "job") {
    const auto job = load_job(file, {}, problems);
    if (!job)
      throw command_error(problems.text());
    std::cout << file << ": OK (job)\n";
    print_memory(*job);
    return 0;
  }
  const bool sound = kind == "node" ? read_node(*document, problems).has_value()
                                    : read_cluster(*document, problems).has_value();
  if (!sound)
    throw command_error(problems.text());
  std::cout << file << ": OK (" << kind << ")\n";
  return 0;
}

} // namespace

void add_config(CLI::App& app, command_context& context) {
  auto* config = app.add_subcommand("config", "Check configuration files, print default ones");
  config->require_subcommand(1);
  auto* checking = config->add_subcommand("check", "Report every problem of a file");
  auto file = std::make_shared<std::string>();
  checking->add_option("FILE", *file, "The TOML file of a job, a node or a cluster")->required();
  checking->callback([&context, file] { context.run = [file] { return check(*file); }; });

  auto* printing = config->add_subcommand("default", "Print a file with every key and its default");
  auto kind = std::make_shared<std::string>();
  printing->add_option("KIND", *kind, "job, node or cluster")->required();
  printing->callback([&context, kind] {
    context.run = [kind] {
      const auto text = default_file(*kind);
      if (text.empty()) {
        const auto near = nearest_name(*kind, default_file_kinds());
        throw command_error("config default: expected job, node or cluster, got '" + *kind + "'"
                                + (near.empty() ? "" : ", did you mean '" + near + "'?"),
                            exit_usage);
      }
      std::cout << text;
      return 0;
    };
  });
}

} // namespace skippipe::runtime
