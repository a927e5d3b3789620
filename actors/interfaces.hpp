// The typed interfaces of all actors, and the messages that stay within a node.
#pragma once

#include "actors/link.hpp"

#include <caf/all.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace skippipe::actors {

/// A compute task of the stage has ended.
struct task_done {
  iteration_no iteration = 0;
  attempt_no attempt = 0;
  std::size_t index = 0; ///< In the node's planned order; evaluation tasks: unused.
  microbatch work;       ///< As it arrived.
  payload output;
  double loss_sum = 0;
  std::int64_t tokens = 0;
  std::int64_t started_ns = 0;
  std::int64_t ended_ns = 0;
  std::string error; ///< Empty: well.
};

/// The executor to the stage: what tasks take at a node that has none.
struct idle_measured {
  std::int64_t forward_ns = 0;
  std::int64_t backward_ns = 0;
  std::string error; ///< Empty: well.
};

/// The optimizer step of a commit has ended.
struct update_done {
  iteration_no iteration = 0;
  std::uint64_t hash = 0;
  std::function<void()> snapshot_job; ///< Empty: no snapshot was asked for.
  bool only_snapshot = false;         ///< There was no update.
  std::string error;
};

/// Stage to origin: run these microbatches now.
struct iteration_begin {
  iteration_no iteration = 0;
  attempt_no attempt = 0;
  plan_version plan = 0;
  std::vector<scheduler::path> paths; ///< In planned order.
};

/// Stage to origin: a loss is known.
struct loss_known {
  microbatch work;
  double loss_sum = 0;
  std::int64_t tokens = 0;
};

/// Stage to reducer: this replica's last backward is done.
struct reduce_begin {
  iteration_no iteration = 0;
  attempt_no attempt = 0;
  std::vector<node_id> replicas;
};
/// Stage to reducer: forget everything before this attempt.
struct reduce_reset {
  iteration_no iteration = 0;
  attempt_no attempt = 0;
};
/// The executor to the stage: nothing of older attempts is left in the shard.
struct shard_reset {
  iteration_no iteration = 0;
  attempt_no attempt = 0;
};
/// Reducer to itself, from the executor: `pieces` of the gradient are summed or written.
struct reduce_step_done {
  iteration_no iteration = 0;
  attempt_no attempt = 0;
  std::int64_t offset = 0;
  payload sum; ///< Of the own part, to be sent on; empty where a peer's sum was written.
  std::string error;
};
/// Reducer to stage: the gradient is complete.
struct reduce_done {
  iteration_no iteration = 0;
  attempt_no attempt = 0;
  std::vector<double> squared_norms;
  std::string error;
};

/// The executor to the node: a shard was built, or why not.
struct shard_built;

struct stage_status {
  node_id node = 0;
  stage_id stage = 0;
  iteration_no iteration = 0;
  iteration_no committed = 0;
  std::uint32_t in_flight = 0;
  std::uint32_t peak_in_flight = 0;
  std::uint64_t tasks_done = 0;
  std::uint64_t dropped = 0;
  std::vector<node_task> executed; ///< Of the current iteration, in the order started.
};

using status_atom = caf::atom_constant<caf::atom("status")>;

/// Runs one replica's shard: the tasks of the plan, the update at the commit.
using stage_actor = caf::typed_actor<
    // A microbatch or a credit from another node (or the own origin).
    caf::reacts_to<inbound>,
    // The compute worker is done with a task.
    caf::reacts_to<task_done>,
    // It has measured what it would take if there were any.
    caf::reacts_to<idle_measured>,
    // Adopts a plan from the next iteration that asks for it.
    caf::reacts_to<set_plan>,
    // Iterations up to the limit may run.
    caf::reacts_to<proceed>,
    // The iteration stands: update, then go on (R7).
    caf::reacts_to<commit>,
    // The update is done.
    caf::reacts_to<update_done>,
    // Forgets the running iteration and runs it again.
    caf::reacts_to<replay>,
    // The shard is ready for the new attempt.
    caf::reacts_to<shard_reset>,
    // Writes the stage as of its last commit.
    caf::reacts_to<snapshot_now>,
    // Ends, after all that came before.
    caf::reacts_to<caf::close_atom>,
    // The stage's gradient is summed.
    caf::reacts_to<reduce_done>,
    // To itself: a task was waited for long enough.
    caf::reacts_to<caf::tick_atom>,
    // Snapshot for status and tracing; never waits for compute.
    caf::replies_to<status_atom>::with<stage_status>>;

/// Source and sink of microbatches on a stage-0 replica: starts them and collects their losses.
using origin_actor = caf::typed_actor<
    // The stage of the same replica.
    caf::reacts_to<stage_actor>,
    // Starts this iteration's own microbatches.
    caf::reacts_to<iteration_begin>,
    // A microbatch's loss is known.
    caf::reacts_to<loss_known>,
    // Runs an evaluation over these paths.
    caf::reacts_to<evaluate>,
    // Ends, after all that came before.
    caf::reacts_to<caf::close_atom>>;

/// Sums a stage's gradient over its replicas.
using reducer_actor = caf::typed_actor<
    // The stage of the same replica.
    caf::reacts_to<stage_actor>,
    // Starts with this replica's gradient.
    caf::reacts_to<reduce_begin>,
    // A replica's share or an owner's sum.
    caf::reacts_to<inbound>,
    // Arithmetic on a piece is done.
    caf::reacts_to<reduce_step_done>,
    // All norms are known.
    caf::reacts_to<reduce_done>,
    // The iteration is replayed.
    caf::reacts_to<reduce_reset>,
    // Ends, after all that came before.
    caf::reacts_to<caf::close_atom>>;

/// Supervises a node's actors and speaks with the scheduler.
using node_actor = caf::typed_actor<
    // A control message from the scheduler, or data for the stage or reducer.
    caf::reacts_to<inbound>,
    // The shard is built (or the reason why it is not).
    caf::reacts_to<std::shared_ptr<shard_built>>,
    // Something in this node cannot go on.
    caf::reacts_to<failed>,
    // As the stage's; an empty status before one is assigned.
    caf::replies_to<status_atom>::with<stage_status>>;

/// To the scheduler: this node is dead or cut off.
struct member_lost {
  node_id node = 0;
  std::string reason;
};
/// To the scheduler: this node leaves after the next commit; nothing is lost.
struct member_leaves {
  node_id node = 0;
};
/// From the background: what replaces the plan, or why nothing does.
struct plan_adjusted;
/// From the clock: has an unreachable peer been reported lost meanwhile?
struct patience_over {
  unreachable report;
};

/// Progress of a job as its scheduler sees it.
struct scheduler_status {
  iteration_no committed = 0;
  iteration_no running = 0;
  bool finished = false;
  std::string failure;
};

/// Assigns stages and paths, keeps the ledger, commits iterations (R5, R7, R13).
using scheduler_actor = caf::typed_actor<
    // A control message from a node.
    caf::reacts_to<inbound>,
    // Assigns the stages and starts.
    caf::reacts_to<caf::ok_atom>,
    // The journal entry of this iteration is durable.
    caf::reacts_to<caf::put_atom, iteration_no, std::string>,
    // The checkpoint of this iteration is complete, or why not.
    caf::reacts_to<caf::publish_atom, iteration_no, std::string>,
    // A node is gone: the iteration is replayed on the others (R5).
    caf::reacts_to<member_lost>,
    // A node wants to go.
    caf::reacts_to<member_leaves>,
    // The plan without the nodes that are gone.
    caf::reacts_to<std::shared_ptr<plan_adjusted>>,
    // Time to act on an unreachable peer.
    caf::reacts_to<patience_over>,
    // Finish the running iteration, checkpoint, end.
    caf::reacts_to<caf::close_atom>,
    // How far it is.
    caf::replies_to<status_atom>::with<scheduler_status>>;

} // namespace skippipe::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skippipe::actors::stage_actor)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skippipe::actors::inbound)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skippipe::actors::task_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skippipe::actors::idle_measured)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skippipe::actors::update_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skippipe::actors::iteration_begin)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skippipe::actors::loss_known)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skippipe::actors::reduce_begin)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skippipe::actors::reduce_reset)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skippipe::actors::reduce_step_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skippipe::actors::shard_reset)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skippipe::actors::reduce_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::shared_ptr<skippipe::actors::shard_built>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skippipe::actors::stage_status)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skippipe::actors::scheduler_status)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skippipe::actors::member_lost)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skippipe::actors::member_leaves)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skippipe::actors::patience_over)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::shared_ptr<skippipe::actors::plan_adjusted>)

namespace skippipe::actors {

/// What the codec writes must not be among the above: CAF would then write nothing of it wherever this header
/// is included, and the linker would choose which of the two ways all files get.
template <class... Messages>
constexpr bool all_written(const std::variant<Messages...>*) {
  return (!caf::allowed_unsafe_message_type<Messages>::value && ...);
}
static_assert(all_written(static_cast<const wire_message*>(nullptr)));

} // namespace skippipe::actors
