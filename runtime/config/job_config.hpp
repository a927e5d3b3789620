// A job as its TOML file describes it.
#pragma once

#include "model/options.hpp"
#include "runtime/config/problems.hpp"
#include "scheduler/instance.hpp"
#include "scheduler/planner.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace skippipe::runtime {

class toml_document;

struct pipeline_config {
  std::uint32_t stages = 1;
  std::vector<std::uint32_t> layers_per_stage; ///< Empty: even.
  std::uint32_t path_length = 1;               ///< Stages a microbatch visits, stage 0 included.
  std::uint32_t microbatches_per_origin = 4;
  std::uint32_t microbatch_size = 8;     ///< Samples.
  std::uint32_t memory_microbatches = 4; ///< In flight per node.
  scheduler::strategy strategy = scheduler::strategy::skippipe;
  bool deterministic = false;
  std::string on_failure = "reroute"; ///< Or "replay".
};

struct data_config {
  std::filesystem::path dir; ///< Prepared data; relative to the job file.
  std::string corpus;        ///< "debian": the built-in text, prepared at first run.
  std::string tokenizer = "spm";
  std::uint32_t vocab_size = 2048;
};

struct job_config {
  std::string name = "job";
  std::string text; ///< As it was given: see job_text.hpp.
  model::model_options model;
  pipeline_config pipeline;
  scheduler::path_limits limits;
  model::optimizer_options optimizer;
  std::uint64_t seed = 1;
  std::uint64_t eval_every = 0;    ///< Iterations; 0: at the end only.
  std::uint32_t eval_batches = 8;  ///< Of microbatch_size samples.
  std::uint64_t sample_tokens = 0; ///< Of text generated at the end.
  data_config data;
  std::uint64_t checkpoint_every = 0;
  std::uint32_t checkpoint_keep = 3;
  bool checkpoint_copy = true;   ///< On a cluster: a node beside the scheduler's holds a copy.
  std::string checkpoint_holder; ///< That node; empty: any.
  std::uint32_t nodes = 1;       ///< Embedded.
  std::vector<std::uint32_t> replicas; ///< Per stage, derived from nodes where not given.
  unsigned threads = 0;                ///< Compute workers; 0: one per core.
  std::string device = "cpu";

  /// Of one iteration; 0: what the origins have. A deterministic run that resumes on another number
  /// of origins keeps it, so that the same samples make an iteration (R12).
  std::uint32_t kept_microbatches = 0;

  /// Microbatches of one iteration.
  std::uint32_t microbatches() const {
    return kept_microbatches != 0 ? kept_microbatches
                                  : replicas[0] * pipeline.microbatches_per_origin;
  }
  /// Spreads `count` nodes, at least one for each stage, over the stages as evenly as they go.
  void use_nodes(std::uint32_t count);
  /// The planning problem of an embedded job: equal nodes, no links to speak of.
  scheduler::instance instance() const;
};

/// Reads and checks everything; nullopt with all problems otherwise. `overrides` are --set words.
std::optional<job_config> load_job(const std::filesystem::path& file,
                                   const std::vector<std::string>& overrides,
                                   problem_list& problems);
/// The same from a file's text and its name, as it travels to a cluster.
std::optional<job_config> parse_job(const std::string& text, const std::string& name,
                                    const std::vector<std::string>& overrides,
                                    problem_list& problems);
/// The same from a parsed document.
std::optional<job_config> read_job(const toml_document& document, problem_list& problems);

/// The names of scheduler::strategy as configuration and command line spell them.
const std::vector<std::string>& strategy_names();
std::optional<scheduler::strategy> find_strategy(const std::string& name);
std::string strategy_name(scheduler::strategy which);

} // namespace skippipe::runtime
