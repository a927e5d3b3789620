// A whole cluster in one process, on one thread, on virtual time, from one seed (R11).
#pragma once

#include "actors/job_scheduler.hpp"
#include "actors/simulation/hash_shard.hpp"
#include "actors/simulation/sim_executor.hpp"
#include "actors/simulation/sim_link.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <memory>
#include <string>
#include <vector>

namespace skippipe::actors::simulation {

/// A node that dies (SIGKILL), or is cut off for a while and wakes as a zombie.
struct sim_loss {
  node_id node = 0;
  std::int64_t at_ns = 0;
  std::int64_t noticed_ns = 0; ///< So much later the scheduler is told.
  std::int64_t wakes_ns = 0;   ///< So much later it wakes; 0: never.
};

struct sim_options {
  std::uint64_t seed = 1;
  network_faults faults;
  work_costs costs;
  double compute_jitter = 0.5;
  job_options job; ///< observer is replaced, but for members and stages that are lost.
  std::vector<sim_loss> losses;
  std::vector<std::pair<std::int64_t, node_id>> drains; ///< When, who.
};

struct sim_result {
  bool finished = false;
  std::string failure;
  std::string stage_lost;
  std::vector<node_id> left; ///< Drained.
  std::vector<iteration_report> iterations;
  std::vector<evaluation_report> evaluations;
  std::vector<iteration_no> checkpoints;
  std::vector<std::uint64_t> hashes;       ///< Parameters at the end, per node.
  std::vector<std::size_t> peak_in_flight; ///< Per node.
  std::vector<std::size_t> left_in_flight; ///< Per node, at the end.
  std::vector<trace::event> events;        ///< Of all nodes, by node, in order.
  std::uint64_t messages = 0;
  std::uint64_t undecodable = 0;
  std::int64_t virtual_ns = 0;
};

/// Runs a job to its end, or until nothing moves any more (finished is false then, and failure
/// empty: a deadlock).
class sim_cluster {
public:
  explicit sim_cluster(sim_options options);
  ~sim_cluster();
  sim_result run();
  /// The shard of a node, once run() built it; for tests that spoil something.
  std::function<void(node_id, hash_shard&)> on_shard;

private:
  struct config;
  sim_options options_;
  std::unique_ptr<config> config_;
};

} // namespace skippipe::actors::simulation
