// What a trace is made of: one fixed-size event per step of a microbatch or of an iteration.
#pragma once

#include "scheduler/ids.hpp"
#include "scheduler/plan.hpp"

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace skippipe::trace {

/// What happened. The values are on disk: add at the end, never renumber.
enum class event_kind : std::uint8_t {
  iteration_started = 0, ///< The scheduler (or a node) began this `attempt` of the iteration.
  plan_received = 1,     ///< A node holds the plan named by `plan`.
  planned = 2,           ///< A node knows that it will run this task.
  queued = 3,            ///< The task's input is there; it waits for its turn.
  started = 4,           ///< Handed to the compute worker.
  computed = 5,          ///< The compute worker is done with it.
  sent = 6,              ///< Handed to the transport; `transfer`, `peer`, `bytes`.
  received = 7,          ///< The whole payload is here; `transfer`, `peer`, `bytes`.
  freed = 8,             ///< The activation's slot is free again.
  credit_granted = 9,    ///< The receiver lets `peer` send this microbatch.
  credit_received = 10,  ///< The sender may send this microbatch to `peer`.
  reduce_started = 11,   ///< The stage's last backward is done; gradients begin to move.
  reduce_sent = 12,      ///< A chunk of gradients went to `peer`; `transfer`, `bytes`.
  reduce_received = 13,  ///< A chunk of gradients came from `peer`; `transfer`, `bytes`.
  reduced = 14,          ///< The stage's gradient is complete on this node.
  norms_reported = 15,   ///< Squared norms went to the scheduler.
  commit_sent = 16,      ///< The scheduler sent the clip factor (R7).
  commit_received = 17,  ///< The clip factor arrived.
  step_started = 18,     ///< The optimizer began.
  step_done = 19,        ///< Parameters are those of the next iteration.
  snapshot_started = 20, ///< A checkpoint snapshot began.
  snapshot_done = 21,    ///< The snapshot's files are durable; `bytes`.
  dropped = 22,          ///< A message was refused; `why` says for what (R1, R8).
  lost = 23,             ///< A transfer died on its way; `transfer`, `peer`, `why`.
  peer_lost = 24,        ///< `peer` is no longer there.
};
inline constexpr std::uint8_t event_kinds = 25;

/// Why a message was dropped or a transfer lost. On disk: add at the end.
enum class reason : std::uint8_t {
  none = 0,
  stale_attempt = 1,
  stale_plan = 2,
  stale_term = 3,
  stale_incarnation = 4,
  stale_iteration = 5,
  duplicate = 6,
  unexpected = 7, ///< Not on this node's part of any path.
  malformed = 8,
  deadline = 9,
  peer_gone = 10,
  cancelled = 11,
};
inline constexpr std::uint8_t reasons = 12;

inline constexpr std::uint32_t no_node = 0xffffffff;
inline constexpr std::uint32_t no_stage = 0xffffffff;
inline constexpr std::uint32_t no_microbatch = 0xffffffff;

/// One step. Plain bytes, written to disk as they are (little-endian).
struct event {
  std::int64_t time_ns = 0;   ///< The node's clock; virtual in a simulation.
  std::uint64_t transfer = 0; ///< Equal at sender and receiver; 0: no transfer.
  std::uint64_t bytes = 0;    ///< Payload bytes where something moved.
  iteration_no iteration = 0; ///< 0: outside any iteration.
  node_id node = no_node;     ///< Where it happened.
  node_id peer = no_node;     ///< The other end, where there is one.
  stage_id stage = no_stage;
  microbatch_id microbatch = no_microbatch;
  attempt_no attempt = 0;
  std::uint32_t step = 0; ///< Position in F..F L B..B (R1), or a reduction's chunk number.
  std::uint32_t plan = 0; ///< Low 32 bits of the plan's version; 0: not known.
  event_kind kind = event_kind::planned;
  /// With `step`, which task: of a payload sent or received the one that it feeds, at either end.
  scheduler::task_kind task = scheduler::task_kind::forward;
  reason why = reason::none;
  std::uint8_t evaluation = 0; ///< 1: of a pass that trains nothing; `iteration` is its number.
  friend bool operator==(const event&, const event&) = default;
};
static_assert(sizeof(event) == 64 && std::is_trivially_copyable_v<event>);
static_assert(std::has_unique_object_representations_v<event>, "no padding goes to disk");

/// "started", "credit_granted" and so on; "unknown" for a value out of range.
std::string_view to_string(event_kind kind);
std::string_view to_string(reason why);
/// "F", "L" or "B".
std::string_view to_string(scheduler::task_kind task);

/// True when every enumeration field holds a value this version knows.
bool well_formed(const event& e);

/// The id of the `counter`-th transfer that `sender` began in its life `incarnation`: a mixing of
/// the three that is never 0. Both ends record it, so that a flow can be drawn between them.
constexpr std::uint64_t make_transfer_id(node_id sender, incarnation_no incarnation,
                                         std::uint64_t counter) {
  auto mix = [](std::uint64_t x) { // the finaliser of splitmix64, a bijection
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
  };
  const std::uint64_t id = mix(mix(mix(sender + 1) + incarnation) + counter);
  return id == 0 ? 1 : id;
}

} // namespace skippipe::trace
