// The scheduler actor: assigns stages and paths, keeps the ledger, commits iterations.
#pragma once

#include "actors/environment.hpp"
#include "actors/interfaces.hpp"
#include "actors/ledger.hpp"
#include "actors/norm_guard.hpp"
#include "actors/plan_times.hpp"
#include "scheduler/cost_tracker.hpp"
#include "scheduler/drift_watch.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace skippipe::actors {

/// One committed iteration.
struct iteration_report {
  iteration_no iteration = 0;
  double loss = 0; ///< Mean over the tokens of the scheduled paths (R6).
  std::int64_t tokens = 0;
  double iteration_s = 0;
  double grad_norm = 0;
  double clip_factor = 1;
  plan_version plan = 0;
  std::uint32_t microbatches = 0;
  std::uint32_t skipped_stages = 0;       ///< Stage visits left out, summed over the microbatches.
  std::uint32_t swaps = 0;                ///< Stages visited behind the frontier, likewise.
  std::uint32_t skipped_microbatches = 0; ///< That left at least one stage out.
  std::uint32_t swapped_microbatches = 0; ///< That swapped at least once.
  bool skipped = false;                   ///< R13: the iteration stands without an update.
};

struct evaluation_report {
  iteration_no iteration = 0; ///< Of the parameters.
  std::string what;           ///< "full", or what the job called it.
  double loss = 0;
  std::int64_t tokens = 0;
};

/// An evaluation to run: a batch per path.
struct evaluation_plan {
  std::string what;
  std::vector<scheduler::path> paths; ///< Ids are batch numbers.
};

/// A plan for the nodes that are left, and the evaluations that go with it.
struct adjusted_plan {
  scheduler::plan plan; ///< Node ids as before; the orders of those that are gone are empty.
  std::vector<evaluation_plan> eval, final_eval;
};

/// Calls from the scheduler actor's handlers; they must not block.
struct job_observer {
  std::function<void(const iteration_report&)> on_iteration;
  std::function<void(const evaluation_report&)> on_evaluation;
  std::function<void(iteration_no, const std::string& problem)> on_checkpoint; ///< Empty: written.
  std::function<void(node_id, const std::string& reason)> on_member_lost;
  std::function<void(node_id)> on_member_left; ///< Drained.
  /// A new one takes effect, which saves such a share of an iteration as costs are now; 0: others are gone.
  std::function<void(const scheduler::plan&, double saves)> on_plan;
  /// A stage has no node left; the job has ended here and can start again from a checkpoint.
  std::function<void(stage_id, const std::string& reason)> on_stage_lost;
  std::function<void(const scheduler::cost_tracker&)> on_costs; ///< After each commit.
  std::function<void(iteration_no)> on_done;
  std::function<void(const std::string&)> on_failed;
};

/// How a job follows what its nodes and links cost.
struct cost_options {
  scheduler::cost_tracker known; ///< What was measured before.
  /// The problem in the ids of the running plan, with these costs; pure. Empty: plans change with the nodes
  /// only.
  std::function<scheduler::instance(const scheduler::cost_tracker&)> problem;
  scheduler::drift_options drift;
};

struct job_options {
  term_no term = 1;
  scheduler::plan plan;
  std::vector<std::uint32_t> memory;       ///< Slots per node.
  std::vector<std::string> names;          ///< Of the nodes, for messages; may be empty.
  iteration_no committed = 0;              ///< Start: parameters are of this commit.
  std::string checkpoint;                  ///< What the shards restore; empty: fresh.
  iteration_no last = 1;                   ///< Stop after this iteration.
  double clip = 1.0;                       ///< Global norm; 0: no clipping.
  std::uint64_t eval_every = 0;            ///< Iterations; 0: only at the end.
  bool eval_at_start = false;              ///< Before the first iteration too.
  std::vector<evaluation_plan> eval;       ///< Run at each evaluation; the first is the full path.
  std::vector<evaluation_plan> final_eval; ///< Run once at the end.
  std::uint64_t checkpoint_every = 0;      ///< Iterations; 0: only at the end.
  bool checkpoint_at_end = true;
  /// Runs on `background`: makes the checkpoint of this iteration complete; throws on failure.
  std::function<void(iteration_no)> publish_checkpoint;
  /// Runs on `background`: journals the commit durably (fsync); throws on failure. Empty: none.
  std::function<void(const commit&)> journal;
  /// Runs on `background`: replaces the running plan when nodes are gone (all that ever went); throws
  /// std::runtime_error where there is no plan. Empty: the loss of a node ends the job.
  /// `costs`: what is measured. Runs on `compute` where nobody is gone and only costs have changed.
  std::function<adjusted_plan(const scheduler::plan& running, const std::set<node_id>& gone,
                              const scheduler::cost_tracker& costs)>
      adjust;
  cost_options costs;
  /// When the tasks of a plan are due, by what is measured; pure. Empty, or an empty answer: not known.
  std::function<plan_times(const scheduler::plan&, const scheduler::cost_tracker&)> times;
  /// After a failed transfer: so long the loss of one of its ends may take to be noticed.
  std::int64_t patience_ns = 6'000'000'000;
  job_observer observer;
};

/// See interfaces.hpp.
struct plan_adjusted {
  std::set<node_id> gone;   ///< What it was made for.
  plan_version running = 0; ///< What it would replace.
  bool for_costs = false;   ///< Nobody was lost: it may wait, or be left.
  adjusted_plan result;
  std::string error;
};

/// Slices a plan: what one node needs to know.
node_plan slice(const scheduler::plan& plan, node_id node, std::uint32_t memory,
                const plan_times& times = {});

struct job_scheduler_state {
  static inline constexpr const char* name = "scheduler";

  void launch();
  void accept(inbound& message);
  void journaled(iteration_no iteration, const std::string& problem);
  void published(iteration_no iteration, const std::string& problem);
  void lose(node_id node, const std::string& reason);
  void release(node_id node);
  void adjusted(plan_adjusted& made);
  void offered(plan_adjusted& made);
  void check_unreachable(const unreachable& report);
  void close();
  scheduler_status status() const;

  scheduler_actor::pointer self = nullptr;
  std::shared_ptr<environment> env;
  job_options options;

private:
  struct member {
    stage_id stage = 0;
    bool is_ready = false; ///< Holds the newest commit.
    std::uint64_t hash = 0;
  };
  enum class phase { assigning, running, evaluating, ending, ended };

  void on(const ready& report);
  void on(const losses& report);
  void on(const reduced& report);
  void on(const evaluated& report);
  void on(const snapshot_done& report);
  void on(const failed& report);
  void on(const unreachable& report);
  void try_ready();
  void try_commit();
  void send_commit();
  void report_iteration();
  void all_ready();
  void start_evaluation();
  void go_on();
  void end_if_quiet();
  void begin_checkpoint(iteration_no iteration);
  void list_evaluations();
  void run_again();
  void replan();
  void dismiss_leaving();
  void take(adjusted_plan made, double saves);
  void hand_out_plan();
  void note_costs();
  void follow_costs();
  void plan_for_costs();
  bool concerns_us(const unreachable& report) const;
  bool has_member(stage_id stage, node_id except = scheduler_address) const;
  bool final_checkpoint_due() const;
  void fail(const std::string& reason);
  std::string called(node_id node) const; ///< "node 'NAME'"
  void broadcast(const wire_message& message);
  bool checkpoint_due(iteration_no iteration) const;
  bool evaluation_due(iteration_no iteration) const;
  bool last(iteration_no iteration) const;

  phase phase_ = phase::assigning;
  std::map<node_id, member> members_;
  iteration_no committed_ = 0;
  iteration_no allowed_ = 0; ///< Nodes may run iterations up to here.
  attempt_no attempt_ = 0;
  bool stopping_ = false;
  std::string failure_;

  // Of the running iteration, committed_ + 1.
  std::map<node_id, reduced> reduced_;
  std::map<node_id, losses> losses_;
  bool committing_ = false; ///< Waiting for the journal.
  commit pending_;
  double grad_norm_ = 0;
  iteration_report report_; ///< What its plan says of it.
  std::int64_t started_ns_ = 0;

  // Nodes that go.
  std::set<node_id> gone_, leaving_;
  bool replanning_ = false;
  unsigned cut_replays_ = 0; ///< Of the running iteration, for unreachable peers.
  std::map<node_id, unsigned> complaints_;

  norm_guard guard_;
  std::map<stage_id, double> stage_norms_;
  unsigned bad_in_a_row_ = 0;
  bool suspected_ = false; ///< The running iteration has been replayed for its norms.

  std::uint64_t evaluation_number_ = 0;
  std::vector<evaluation_plan> evaluations_;    ///< Still to run, last first.
  bool with_eval_ = false, with_final_ = false; ///< What they were made of.
  std::size_t evaluations_done_ = 0;            ///< Of these.
  std::set<node_id> evaluation_origins_;        ///< Not answered yet.
  evaluation_report evaluation_;
  iteration_no evaluated_at_ = 0; ///< No evaluation of this commit again.
  bool final_evaluated_ = false;

  scheduler::cost_tracker costs_;
  scheduler::drift_watch drift_;
  std::optional<adjusted_plan> candidate_; ///< Watched by drift_.

  iteration_no checkpoint_running_ = 0; ///< 0: none.
  iteration_no checkpointed_ = 0;       ///< The last one begun, and not lost with its writer.
  std::map<stage_id, node_id> checkpoint_missing_; ///< Who still writes.
  std::string checkpoint_problem_;
};

scheduler_actor::behavior_type
job_scheduler(scheduler_actor::stateful_pointer<job_scheduler_state> self,
              std::shared_ptr<environment> env, job_options options);

} // namespace skippipe::actors
