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

/// A node that dies (SIGKILL), or freezes for a while and wakes as a zombie.
struct sim_loss {
  node_id node = 0;
  std::int64_t at_ns = 0;
  std::int64_t noticed_ns = 0; ///< So much later the scheduler is told.
  std::int64_t wakes_ns = 0;   ///< So much later it wakes; 0: never.
  double late = 0;             ///< The dead: chance that a message on its way still arrives.
};

/// A node whose tasks take `factor` times as long from then on.
struct sim_slowdown {
  node_id node = 0;
  std::int64_t at_ns = 0;
  double factor = 1;
};

struct sim_options {
  std::uint64_t seed = 1;
  network_faults faults;
  work_costs costs;
  double compute_jitter = 0.5;
  job_options job; ///< observer is replaced.
  std::vector<sim_loss> losses;
  std::vector<std::pair<std::int64_t, node_id>> drains; ///< When, who.
  std::vector<sim_slowdown> slowdowns;
};

struct sim_result {
  bool finished = false;
  std::string failure;
  std::string stage_lost;
  std::vector<node_id> lost;          ///< As the scheduler took note of it.
  std::vector<node_id> left;          ///< Drained.
  std::vector<plan_version> plans;    ///< After the first, as they took effect.
  std::vector<scheduler::plan> taken; ///< The same, whole.
  std::vector<std::pair<iteration_no, std::string>> checkpoint_reports; ///< Empty: written.
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
  /// Kills a node, or freezes it, from within run(), for tests that wait for a certain moment.
  void lose(const sim_loss& loss);

private:
  struct config;
  sim_options options_;
  std::unique_ptr<config> config_;
  std::function<void(const sim_loss&)> lose_; ///< While run() runs.
};

} // namespace skippipe::actors::simulation
