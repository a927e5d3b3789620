// A whole cluster in one process: the same actors as in the distributed case, joined by the
// loopback transport. Embedded nodes share nothing else (R14).
#pragma once

#include "actors/job_scheduler.hpp"
#include "actors/torch_shard.hpp"
#include "model/options.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace skippipe::runtime {

struct embedded_options {
  model::model_options model;
  model::optimizer_options optimizer;
  std::vector<model::shard_range> ranges; ///< Per stage.
  bool deterministic = false;
  std::uint64_t seed = 0;
  std::string device = "cpu";
  std::uint32_t microbatch_size = 1;
  unsigned threads = 2; ///< Compute workers, one intra-op thread each.
  actors::sample_source samples;
  /// Plan, checkpoints, evaluation; `observer` is called from actor threads.
  actors::job_options job;
  std::function<void(const model::shard_snapshot&)> write_snapshot;
  std::function<void(model::shard&)> restore; ///< Empty: a fresh start.
  std::vector<std::string> node_names;        ///< Empty: node-0, node-1, ...
  std::filesystem::path run_dir;              ///< Traces go here; empty: no trace.
  actors::shard_factory make_shard;           ///< Empty: the LibTorch shard of the options above.
};

/// Runs one job. The constructor starts nothing.
class embedded_cluster {
public:
  explicit embedded_cluster(embedded_options options);
  ~embedded_cluster();

  /// Blocks until the job has ended; returns the failure in one line, or nothing.
  std::string run();

  /// Finish the running iteration, checkpoint, end. Thread-safe; before run() it has no effect.
  void request_stop();

private:
  struct state;
  std::unique_ptr<state> state_;
};

} // namespace skippipe::runtime
