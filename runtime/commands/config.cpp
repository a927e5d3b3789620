// skippipe config: check a file, print a default one.
#include "runtime/cli.hpp"
#include "runtime/config/default_files.hpp"
#include "runtime/config/file_kind.hpp"
#include "runtime/config/job_config.hpp"
#include "runtime/config/memory_estimate.hpp"
#include "runtime/config/node_config.hpp"
#include "runtime/config/toml_document.hpp"

#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <vector>

namespace skippipe::runtime {

namespace {

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

/// What a node needs per stage, and all of them in one process.
struct job_memory {
  std::vector<memory_estimate> stages;
  std::uint64_t embedded = 0;
};

job_memory memory_of(const job_config& job) {
  job_memory result;
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
    // One replica of a stage writes.
    result.embedded += (m.total() - m.snapshot) * job.replicas[range.stage] + m.snapshot;
    result.stages.push_back(m);
  }
  return result;
}

void print_memory(const job_config& job) {
  const auto row = [](const std::vector<std::string>& cells) {
    std::printf("%-6s %8s %10s %10s %10s %12s %10s %10s %10s\n", cells[0].c_str(), cells[1].c_str(),
                cells[2].c_str(), cells[3].c_str(), cells[4].c_str(), cells[5].c_str(),
                cells[6].c_str(), cells[7].c_str(), cells[8].c_str());
  };
  const auto memory = memory_of(job);
  std::cout << "memory of one node, by the stage it serves (plus about 160 MB for the process):\n"
            << std::flush;
  row({"stage", "replicas", "weights", "gradients", "optimizer", "activations", "boundary",
       "snapshot", "total"});
  for (std::size_t stage = 0; stage < memory.stages.size(); ++stage) {
    const auto& m = memory.stages[stage];
    row({std::to_string(stage), std::to_string(job.replicas[stage]), size_text(m.weights),
         size_text(m.gradients), size_text(m.optimizer), size_text(m.activations),
         size_text(m.boundary), size_text(m.snapshot), size_text(m.total())});
  }
  std::printf("all %u nodes in one process: %s\n", job.nodes, size_text(memory.embedded).c_str());
}

nlohmann::json memory_json(const job_config& job) {
  const auto memory = memory_of(job);
  auto stages = nlohmann::json::array();
  for (std::size_t stage = 0; stage < memory.stages.size(); ++stage) {
    const auto& m = memory.stages[stage];
    stages.push_back({{"stage", stage},
                      {"replicas", job.replicas[stage]},
                      {"weights", m.weights},
                      {"gradients", m.gradients},
                      {"optimizer", m.optimizer},
                      {"activations", m.activations},
                      {"boundary", m.boundary},
                      {"snapshot", m.snapshot},
                      {"total", m.total()}});
  }
  return {{"stages", std::move(stages)}, {"embedded", memory.embedded}};
}

/// With --json the problems go to stdout, too.
[[noreturn]] void refuse(const std::string& file, const problem_list& problems, bool json) {
  if (json) {
    auto lines = nlohmann::json::array();
    std::istringstream text{problems.text()};
    for (std::string line; std::getline(text, line);)
      lines.push_back(line);
    print_json({{"file", file}, {"ok", false}, {"problems", std::move(lines)}});
  }
  throw as_error(problems);
}

int check(const std::string& file, bool json) {
  problem_list problems;
  const auto document = toml_document::load(file, problems);
  if (!document)
    refuse(file, problems, json);
  const auto kind = kind_of(*document);
  std::optional<job_config> job;
  bool sound = false;
  if (kind == file_kind::job)
    sound = (job = read_job(*document, problems)).has_value();
  else if (kind == file_kind::cluster)
    sound = read_cluster(*document, problems).has_value();
  else
    sound = read_node(*document, problems).has_value();
  if (!sound)
    refuse(file, problems, json);
  if (json) {
    nlohmann::json found{{"file", file}, {"ok", true}, {"kind", name_of(kind)}};
    if (job)
      found["memory_bytes"] = memory_json(*job);
    print_json(found);
    return 0;
  }
  std::cout << file << ": OK (" << name_of(kind) << ")\n";
  if (job)
    print_memory(*job);
  return 0;
}

} // namespace

void add_config(CLI::App& app, command_context& context) {
  auto* config = app.add_subcommand("config", "Check configuration files, print default ones");
  config->require_subcommand(1);
  auto* checking = config->add_subcommand("check", "Report every problem of a file");
  auto file = std::make_shared<std::string>();
  checking->add_option("FILE", *file, "The TOML file of a job, a node or a cluster")->required();
  auto json = std::make_shared<bool>(false);
  checking->add_flag("--json", *json, "One JSON object; memory in bytes");
  checking->callback(
      [&context, file, json] { context.run = [file, json] { return check(*file, *json); }; });

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
