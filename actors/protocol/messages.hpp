// Every message that crosses nodes, in one place. The data plane carries microbatch, credit and
// gradient_chunk between nodes; all else runs between a node and the scheduler.
#pragma once

#include "actors/protocol/tensor.hpp"
#include "scheduler/plan.hpp"

#include <caf/meta/type_name.hpp>

#include <bit>
#include <string>
#include <variant>
#include <vector>

namespace skippipe::scheduler {

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, hop& x) {
  return f(caf::meta::type_name("skippipe.hop"), x.stage, x.node);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, path& x) {
  return f(caf::meta::type_name("skippipe.path"), x.microbatch, x.origin, x.hops);
}

} // namespace skippipe::scheduler

namespace skippipe::actors {

/// A double that crosses the wire as its 64 bits: CAF 0.17 packs floating point numbers by repeated
/// halving, which never ends for an infinity.
struct real64 {
  std::uint64_t bits = 0;
  real64() = default;
  real64(double value) : bits(std::bit_cast<std::uint64_t>(value)) {}
  operator double() const { return std::bit_cast<double>(bits); }
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, real64& x) {
  return f(caf::meta::type_name("skippipe.real64"), x.bits);
}

/// The scheduler's address on a link; no node has it.
inline constexpr node_id scheduler_address = 0xffffffff;

enum class pass : std::uint8_t { train, evaluate };

/// One microbatch on its way.
/// R1: `hops` is fixed per attempt; `step` runs over F..F L B..B and only grows: 0 is F at the
/// origin, 1..h are F along the hops, h+1 is L at the origin, h+2..2h+1 are B along the reversed
/// hops, 2h+2 is B at the origin.
struct microbatch {
  iteration_no iteration = 0; ///< The evaluation's number where mode is evaluate.
  microbatch_id id = 0;
  attempt_no attempt = 0;
  plan_version plan = 0;
  pass mode = pass::train;
  node_id origin = 0;
  std::vector<scheduler::hop> hops;
  std::uint32_t step = 0;
  std::uint64_t transfer = 0; ///< Equal at sender and receiver; names the hop in traces.
  tensor_desc tensor;

  std::uint32_t last_step() const {
    const auto h = static_cast<std::uint32_t>(hops.size());
    return mode == pass::train ? 2 * h + 2 : h + 1;
  }
  scheduler::task_kind kind() const {
    const auto h = hops.size();
    if (step <= h)
      return scheduler::task_kind::forward;
    return step == h + 1 ? scheduler::task_kind::loss : scheduler::task_kind::backward;
  }
  /// The node that runs `at_step`.
  node_id node_of(std::uint32_t at_step) const {
    const auto h = static_cast<std::uint32_t>(hops.size());
    if (at_step == 0 || at_step == h + 1 || at_step >= 2 * h + 2)
      return origin;
    return at_step <= h ? hops[at_step - 1].node : hops[2 * h + 1 - at_step].node;
  }
};

/// Receiver to sender: the activation of this microbatch may be sent now (R4).
struct credit {
  iteration_no iteration = 0;
  attempt_no attempt = 0;
  plan_version plan = 0;
  microbatch_id id = 0;
};

/// A piece of the gradient reduction between the replicas of a stage.
struct gradient_chunk {
  iteration_no iteration = 0;
  attempt_no attempt = 0;
  bool reduced = false;      ///< false: one replica's share on its way to the owner; true: the sum.
  std::uint32_t replica = 0; ///< The sender's index among the stage's replicas.
  std::int64_t offset = 0;   ///< Elements into the flat gradient.
  std::uint64_t transfer = 0;
  tensor_desc tensor;
};

/// A node's share of a plan.
struct node_task {
  microbatch_id id = 0;
  scheduler::task_kind kind = scheduler::task_kind::forward;
  node_id from = 0; ///< F only: the node that sends the input (the node itself at the origin).
  std::int64_t due_ns = -1;  ///< Planned start, from the iteration's; negative: not known.
  std::int64_t lasts_ns = 0; ///< Planned.
};
struct node_plan {
  plan_version version = 0;
  stage_id stage = 0;
  std::uint32_t microbatches = 0; ///< M of the whole iteration.
  std::uint32_t memory = 1;       ///< Slots.
  std::vector<node_id> replicas;  ///< The stage's nodes, ascending.
  std::vector<node_task> order;
  std::vector<scheduler::path> paths; ///< Origins: their own microbatches.
};

/// Scheduler to node: build the shard of a stage, restored from `checkpoint` unless it is empty.
struct assign {
  term_no term = 0;
  stage_id stage = 0;
  iteration_no committed = 0; ///< The commit the parameters are of.
  std::string checkpoint;
};
/// Scheduler to node.
struct set_plan {
  term_no term = 0;
  node_plan plan;
};
/// Scheduler to node: iterations up to `limit` may run.
struct proceed {
  term_no term = 0;
  iteration_no limit = 0;
  plan_version plan = 0; ///< What they run by.
};
/// Scheduler to node: iteration t stands (R7). `skip` (R13): it stands without an update.
struct commit {
  term_no term = 0;
  iteration_no iteration = 0;
  attempt_no attempt = 0;
  real64 clip_factor = 1.0;
  bool skip = false;
  bool snapshot = false;  ///< This replica writes its stage into the checkpoint of t.
  iteration_no limit = 0; ///< Iterations up to here may run,
  plan_version plan = 0;  ///< by this plan.
};
/// Scheduler to node: forget what iteration t has done so far and run it again (R5, R13).
struct replay {
  term_no term = 0;
  iteration_no iteration = 0;
  attempt_no attempt = 0;
  plan_version plan = 0; ///< What the attempt runs by.
};
struct evaluate {
  term_no term = 0;
  std::uint64_t number = 0; ///< Names the evaluation.
  std::vector<scheduler::path>
      paths; ///< The receiver is the origin of each; ids are batch numbers.
};
struct stop {
  term_no term = 0;
};

/// Seconds of one task of each kind, the mean of several; 0: there was none.
struct task_seconds {
  real64 forward_s = 0.0, loss_s = 0.0, backward_s = 0.0;
};
/// What arrived lately from `peer` says of the way from there.
struct link_sample {
  node_id peer = 0;
  /// Shortest time from a header's sending by the sender's clock to its arrival by ours: the latency plus what
  /// the clocks differ. With the same of the other direction the clocks cancel out.
  real64 delay_s = 0.0;
  real64 bandwidth_Bps = 0.0; ///< Of payloads; 0: none was large enough to tell.
};

/// Node to scheduler: the replica holds commit `committed` and is ready for the next iteration.
struct ready {
  node_id node = 0;
  stage_id stage = 0;
  iteration_no committed = 0;
  std::uint64_t hash = 0;
  task_seconds costs; ///< Of warm-up microbatches, once they have run.
};
/// Origin to scheduler: the losses of its microbatches of one iteration.
struct losses {
  node_id node = 0;
  iteration_no iteration = 0;
  attempt_no attempt = 0;
  std::vector<microbatch_id> ids;
  std::vector<real64> loss_sums; ///< Natural log, summed over the microbatch's tokens.
  std::vector<std::int64_t> tokens;
};
/// Node to scheduler: the stage's gradient is summed over its replicas here.
struct reduced {
  node_id node = 0;
  stage_id stage = 0;
  iteration_no iteration = 0;
  attempt_no attempt = 0;
  std::vector<real64> squared_norms;        ///< Per tensor, in tensor-name order.
  std::vector<microbatch_id> contributions; ///< The ledger (R5): what this replica added.
  real64 compute_s;                         ///< Seconds of compute in this iteration.
  task_seconds costs;                       ///< Of this iteration's tasks.
  std::vector<link_sample> links;           ///< Since the last report.
};
struct evaluated {
  node_id node = 0;
  std::uint64_t number = 0;
  std::vector<microbatch_id> ids;
  std::vector<real64> loss_sums;
  std::vector<std::int64_t> tokens;
};
struct snapshot_done {
  node_id node = 0;
  stage_id stage = 0;
  iteration_no iteration = 0;
  std::string error; ///< Empty: written.
};
struct failed {
  node_id node = 0;
  std::string reason;
};
/// Scheduler to node: write the stage as of commit t, which has been applied.
struct snapshot_now {
  term_no term = 0;
  iteration_no iteration = 0;
};
/// Node to scheduler: what it sent to `peer` in this attempt did not arrive.
struct unreachable {
  node_id node = 0;
  node_id peer = 0;
  iteration_no iteration = 0; ///< The evaluation's number where mode is evaluate.
  attempt_no attempt = 0;
  pass mode = pass::train;
  std::string reason;
};

/// The order is the wire format: append only.
using wire_message = std::variant<microbatch, credit, gradient_chunk, assign, set_plan, proceed,
                                  commit, replay, evaluate, stop, ready, losses, reduced, evaluated,
                                  snapshot_done, failed, snapshot_now, unreachable>;

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, microbatch& x) {
  return f(caf::meta::type_name("skippipe.microbatch"), x.iteration, x.id, x.attempt, x.plan,
           x.mode, x.origin, x.hops, x.step, x.transfer, x.tensor);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, credit& x) {
  return f(caf::meta::type_name("skippipe.credit"), x.iteration, x.attempt, x.plan, x.id);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, gradient_chunk& x) {
  return f(caf::meta::type_name("skippipe.gradient_chunk"), x.iteration, x.attempt, x.reduced,
           x.replica, x.offset, x.transfer, x.tensor);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, node_task& x) {
  return f(caf::meta::type_name("skippipe.node_task"), x.id, x.kind, x.from, x.due_ns, x.lasts_ns);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, node_plan& x) {
  return f(caf::meta::type_name("skippipe.node_plan"), x.version, x.stage, x.microbatches, x.memory,
           x.replicas, x.order, x.paths);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, assign& x) {
  return f(caf::meta::type_name("skippipe.assign"), x.term, x.stage, x.committed, x.checkpoint);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, set_plan& x) {
  return f(caf::meta::type_name("skippipe.set_plan"), x.term, x.plan);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, proceed& x) {
  return f(caf::meta::type_name("skippipe.proceed"), x.term, x.limit, x.plan);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, commit& x) {
  return f(caf::meta::type_name("skippipe.commit"), x.term, x.iteration, x.attempt, x.clip_factor,
           x.skip, x.snapshot, x.limit, x.plan);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, replay& x) {
  return f(caf::meta::type_name("skippipe.replay"), x.term, x.iteration, x.attempt, x.plan);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, evaluate& x) {
  return f(caf::meta::type_name("skippipe.evaluate"), x.term, x.number, x.paths);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, stop& x) {
  return f(caf::meta::type_name("skippipe.stop"), x.term);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, task_seconds& x) {
  return f(caf::meta::type_name("skippipe.task_seconds"), x.forward_s, x.loss_s, x.backward_s);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, link_sample& x) {
  return f(caf::meta::type_name("skippipe.link_sample"), x.peer, x.delay_s, x.bandwidth_Bps);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, ready& x) {
  return f(caf::meta::type_name("skippipe.ready"), x.node, x.stage, x.committed, x.hash, x.costs);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, losses& x) {
  return f(caf::meta::type_name("skippipe.losses"), x.node, x.iteration, x.attempt, x.ids,
           x.loss_sums, x.tokens);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, reduced& x) {
  return f(caf::meta::type_name("skippipe.reduced"), x.node, x.stage, x.iteration, x.attempt,
           x.squared_norms, x.contributions, x.compute_s, x.costs, x.links);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, evaluated& x) {
  return f(caf::meta::type_name("skippipe.evaluated"), x.node, x.number, x.ids, x.loss_sums,
           x.tokens);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, snapshot_done& x) {
  return f(caf::meta::type_name("skippipe.snapshot_done"), x.node, x.stage, x.iteration, x.error);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, failed& x) {
  return f(caf::meta::type_name("skippipe.failed"), x.node, x.reason);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, snapshot_now& x) {
  return f(caf::meta::type_name("skippipe.snapshot_now"), x.term, x.iteration);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, unreachable& x) {
  return f(caf::meta::type_name("skippipe.unreachable"), x.node, x.peer, x.iteration, x.attempt,
           x.mode, x.reason);
}

} // namespace skippipe::actors
