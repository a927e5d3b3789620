// A job on a cluster, as the scheduler's daemon runs it: prepares it, opens a session on its nodes, runs
// the job's scheduler actor there, and starts again from the newest checkpoint where that is needed.
#pragma once

#include "actors/compute_pool.hpp"
#include "actors/job_scheduler.hpp"
#include "actors/tracer.hpp"
#include "model/dataset.hpp"
#include "runtime/config/job_config.hpp"
#include "runtime/config/link_table.hpp"
#include "runtime/config/node_config.hpp"
#include "runtime/daemon/copy_keeper.hpp"
#include "runtime/daemon/copy_recovery.hpp"
#include "runtime/daemon/files.hpp"
#include "runtime/daemon/job_record.hpp"
#include "runtime/daemon/part_asker.hpp"
#include "runtime/train/checkpointing.hpp"

#include <nlohmann/json.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace skippipe::runtime {
class run_folder_lock;
}

namespace skippipe::runtime::daemon {

class link_survey;
class profile_book;
class trace_feed;
class trace_keeper;

/// A node as a job sees it.
struct job_node {
  std::string name, location;
  std::uint64_t life = 0;
  wire_bytes address;
  std::uint32_t memory = 1; ///< Microbatches in flight.
  emulation_report emulation;
  worker_actor worker;
};

/// What a job needs of the coordinator, in whose turn everything here runs.
struct job_host {
  caf::actor_system* system = nullptr;
  actors::compute_pool* background = nullptr;
  file_shelf* shelf = nullptr;
  const part_asker* asker = nullptr;
  std::shared_ptr<trace_feed> feed;
  std::shared_ptr<const link_table> links; ///< Of emulated nodes; null: none.
  std::filesystem::path dir;               ///< Of datasets and runs.
  std::uint64_t term = 1;
  std::string wire_dtype = "float32";
  bool sealed = false;
  profile_config profile;
  std::shared_ptr<profile_book> book; ///< The coordinator's, in whose turn it is used.
  double patience_s = 6;              ///< For the loss of a node whose peers cannot reach it.
  std::function<void(std::function<void()>)> in_turn;               ///< Thread-safe.
  std::function<void(double seconds, std::function<void()>)> later; ///< The same, after a while.
  std::function<void(const nlohmann::json&)> emit; ///< An event, to all who follow.
  std::function<void(const job_record&)> changed;  ///< To be kept.
  std::function<void()> wants_nodes;               ///< start() may be called.
  /// Whether it is still the member that start() was given.
  std::function<bool(const job_node&)> is_member;
  /// A node serves a stage from now on, or none.
  std::function<void(const std::string& node, std::optional<stage_id>, const std::string& reason)>
      placed;
  std::function<void()> ended;              ///< record() says how.
  std::function<void(copy_wish)> published; ///< A checkpoint that wants a copy.
  std::function<worker_actor(const std::string& node)> worker_of; ///< Null: it is not here.
};

class cluster_job : public std::enable_shared_from_this<cluster_job> {
public:
  cluster_job(job_host host, job_record record);
  ~cluster_job();

  /// Opens the data. Then calls `wants_nodes`.
  void prepare();
  bool waiting() const { return phase_ == phase::waiting; }
  /// At least so many nodes, one for each stage.
  std::uint32_t least_nodes() const { return job_.pipeline.stages; }
  void start(std::vector<job_node> nodes);
  /// Finish the iteration, write a checkpoint, end.
  void stop();
  /// As stop, but the job stays a running one in the record, to go on in the daemon's next life. False
  /// where nothing runs that could be finished.
  bool suspend();
  /// The daemon ends at once, as after a power loss.
  void abandon();

  void opened(const session_opened& report);
  void closed(const session_closed& report);
  void probed(const probe_opened& report, const caf::strong_actor_ptr& sender);
  void probed(const probe_result& report, const caf::strong_actor_ptr& sender);
  void deliver(const session_message& message, const caf::strong_actor_ptr& sender);
  void receive(const snapshot_part& part, std::function<void(std::string problem)> taken);
  void keep(const trace_batch& batch);
  void lost(const std::string& node, const std::string& reason);
  /// The node leaves after the running iteration, or with the session: `placed` tells. False where its
  /// stage has no other that stays.
  bool drain(const std::string& node);

  bool uses(const std::string& node) const { return number_of(node).has_value(); }
  const job_record& record() const { return record_; }
  const job_config& config() const { return job_; }
  void set_copies(std::vector<held_copy> copies) { record_.copies = std::move(copies); }
  nlohmann::json status() const;

private:
  class net;
  struct launch; ///< What planning gives.
  enum class phase {
    preparing,
    waiting,
    probing,
    planning,
    opening,
    running,
    finishing,
    closing,
    ended
  };

  void in_background(std::function<std::function<void()>()> work);
  void prepared(job_config job, std::shared_ptr<const model::dataset> data);
  bool is_emulated(const std::vector<job_node>& nodes) const;
  void survey(std::vector<job_node> nodes);
  bool is_candidate(node_id node, const caf::strong_actor_ptr& sender) const;
  void surveyed();
  void begin_planning(std::vector<job_node> nodes);
  std::function<void()> plan(std::vector<job_node> nodes, job_config job, job_record record,
                             const std::vector<copy_source>& copies, scheduler::cost_tracker known,
                             std::shared_ptr<run_folder_lock> lock);
  void note_costs(const scheduler::cost_tracker& costs);
  void keep_instance();
  void keep_plan(const scheduler::plan& plan, double saves);
  std::vector<copy_source> find_copies() const;
  void await_copies(const std::vector<std::string>& nodes);
  void want_copy(const std::filesystem::path& checkpoint, iteration_no iteration);
  void open(launch& plan);
  void spawn_scheduler();
  void close_session(std::function<void()> then);
  void try_closed();
  void restart(const std::string& reason);
  void forget(node_id node, const std::string& reason);
  void finish(iteration_no iterations);
  void report_overruns();
  void end(job_state state, const std::string& outcome);
  actors::job_observer make_observer();
  std::optional<node_id> number_of(const std::string& node) const;
  void change(job_state state);

  job_host host_;
  job_record record_;
  job_config job_;
  phase phase_ = phase::preparing;
  bool stopping_ = false, suspending_ = false;
  std::shared_ptr<const model::dataset> data_;
  std::shared_ptr<run_folder_lock> folder_lock_; ///< From its first start to its end.
  std::shared_ptr<actors::executor> desk_;       ///< Files and planning.

  // Of the session.
  session_no session_ = 0;
  std::vector<job_node> nodes_;
  std::set<node_id> gone_, leaving_, opening_, closing_;
  std::vector<std::vector<node_id>> arrangement_; ///< Of the running plan.
  std::function<void()> after_close_;
  std::unique_ptr<launch> launch_;
  std::shared_ptr<net> net_;
  std::shared_ptr<checkpointing> checkpoints_;
  std::shared_ptr<trace_keeper> traces_;
  actors::scheduler_actor scheduler_;
  actors::tracer_actor tracer_;
  double time_scale_ = 1;                  ///< Emulated seconds per real one.
  std::uint64_t tasks_ = 0, overruns_ = 0; ///< Of emulating nodes, all sessions together.
  nlohmann::json progress_;                ///< The last iteration's event.

  std::unique_ptr<link_survey> survey_; ///< While probing.
  std::vector<job_node> candidates_;    ///< Of the survey.
  std::uint64_t survey_no_ = 0;
  nlohmann::json surveyed_;       ///< What the last one took.
  scheduler::cost_tracker costs_; ///< As of the last commit.
  /// The session's problem with measured costs; empty where none are followed.
  std::function<scheduler::instance(const scheduler::cost_tracker&)> measured_;
  bool instance_kept_ = false; ///< With costs of this session.
};

} // namespace skippipe::runtime::daemon
