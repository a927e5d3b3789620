// The actor that runs one replica's layer shard.
#pragma once

#include "actors/credit_window.hpp"
#include "actors/environment.hpp"
#include "actors/interfaces.hpp"
#include "actors/shard_worker.hpp"
#include "actors/task_queue.hpp"
#include "actors/task_sums.hpp"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

namespace skippipe::actors {

struct stage_options {
  stage_id stage = 0;
  iteration_no committed = 0; ///< The commit the shard's parameters are of.
  std::shared_ptr<environment> env;
  std::shared_ptr<shard_worker> shard;
  origin_actor origin; ///< Stage 0 only.
  reducer_actor reducer;
  node_actor node; ///< Told of failures.
  bool measures_idle =
      false; ///< Where costs are followed: also those of a node that has nothing to do.
};

struct stage_state {
  static inline constexpr const char* name = "stage";

  void start(stage_actor::pointer self, stage_options options);
  void accept(inbound& message);
  void finish(task_done& result);
  void idle_known(const idle_measured& seen);
  void adopt(set_plan& order);
  void allow(iteration_no limit, plan_version plan);
  void apply(const commit& order);
  void applied(update_done& result);
  void restart(const replay& order);
  void begin_again(const shard_reset& done);
  void snapshot_late(const snapshot_now& order);
  void gradient_complete(const reduce_done& result);
  void pump(); ///< Starts what may start.
  stage_status snapshot() const;

private:
  struct pending_send {
    microbatch work;
    payload tensor;
  };
  using credit_key = std::tuple<iteration_no, attempt_no, plan_version, microbatch_id>;

  void try_enter();
  void enter(attempt_no attempt);
  void grant_credits();
  void accept_microbatch(microbatch& work, payload& tensor);
  void accept_credit(const credit& grant);
  void pump_at(std::int64_t then_ns, std::int64_t now_ns);
  void run_task(std::size_t index);
  void run_evaluation(inbound work);
  void submit(work_kind kind, microbatch work, std::size_t index,
              std::function<void(task_done&)> body);
  void measure_if_idle();
  void reduce_if_done();
  void pass_on(microbatch work, payload tensor);
  void transmit(microbatch work, payload tensor);
  void write_snapshot(iteration_no iteration, std::function<void()> job);
  void drop(const microbatch& work, trace::reason why);
  void fail(const std::string& reason);
  trace::event event_of(trace::event_kind kind, const microbatch& work) const;

  stage_actor::pointer self_ = nullptr;
  stage_options options_;
  std::map<plan_version, node_plan> plans_;
  plan_version wanted_plan_ = 0;
  node_plan plan_; ///< Of the running iteration.
  iteration_no committed_ = 0;
  iteration_no limit_ = 0;
  iteration_no iteration_ = 0; ///< Entered; committed_ + 1 while running.
  attempt_no attempt_ = 0;
  std::optional<replay> replay_;        ///< The newest one that has not begun.
  std::optional<attempt_no> resetting_; ///< Begins when the shard has been reset.
  bool entered_ = false;
  bool updating_ = false; ///< Parameters are not those of the running iteration yet.
  bool busy_ = false;     ///< One task at the executor at a time.
  bool reducing_ = false;
  bool measuring_ = false;            ///< The shard runs a microbatch that is none.
  std::int64_t measure_again_ns_ = 0; ///< Not before.
  std::int64_t wakes_ns_ = 0;         ///< When the last reminder that was asked for comes.
  task_queue queue_;
  credit_window window_;
  std::map<std::size_t, inbound> inputs_;        ///< Of ready tasks, by index.
  std::set<credit_key> credits_;                 ///< Received and not used.
  std::map<microbatch_id, pending_send> outbox_; ///< Forwards that wait for their credit.
  std::vector<inbound> evaluations_;             ///< Ready, first come first served.
  std::vector<microbatch_id> contributions_;     ///< The ledger (R5).
  std::uint64_t transfers_ = 0;
  std::uint64_t tasks_done_ = 0;
  std::uint64_t dropped_ = 0;
  double compute_s_ = 0;
  task_sums sums_; ///< Of the running attempt.
};

stage_actor::behavior_type stage(stage_actor::stateful_pointer<stage_state> self,
                                 stage_options options);

} // namespace skippipe::actors
