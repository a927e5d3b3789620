// What daemons and clients say to each other over CAF. The messages of a running job travel inside
// session_message, encoded by actors/protocol/codec.
#pragma once

#include "runtime/daemon/file_messages.hpp"
#include "runtime/daemon/profile_messages.hpp"
#include "runtime/daemon/security_messages.hpp"
#include "runtime/daemon/trace_messages.hpp"
#include "runtime/daemon/wire.hpp"
#include "scheduler/ids.hpp"

#include <caf/all.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace skippipe::runtime::daemon {

/// One start of a job on a set of nodes. Grows, also over the lives of the scheduler's daemon (its wall
/// clock, nanoseconds), so that what belongs to an older one is told apart.
using session_no = std::uint64_t;

// -- a job on its nodes ----------------------------------------------------------

struct session_peer {
  node_id node = 0;       ///< Its number in the session.
  std::uint64_t life = 0; ///< On the data plane, see data_plane.
  std::string name, location;
  wire_bytes address;
};
/// Scheduler to node: be ready to be probed by these peers, and to probe them.
struct probe_open {
  session_no session = 0; ///< Of the probing, like one of a job.
  node_id node = 0;
  std::uint64_t most_bytes = 0; ///< Of one payload.
  std::vector<session_peer> peers;
};
/// Scheduler to node: take part in a job.
struct session_open {
  session_no session = 0;
  node_id node = 0; ///< The receiver's number in this session.
  std::string file; ///< The job's file name, for messages.
  std::string job;  ///< Its text.
  std::vector<std::string> overrides;
  std::uint32_t microbatches = 0; ///< Of an iteration, where it is not what the origins have.
  std::vector<session_peer> peers;
  file_set data;          ///< Of origins; else empty.
  file_set checkpoint;    ///< To restore; empty: a fresh start.
  wire_bytes secret;      ///< Of sealed payloads, of this session only; else empty.
  std::string wire_dtype; ///< Of activations and their gradients on their way.
};
/// Node to scheduler: orders can come, or why not.
struct session_opened {
  session_no session = 0;
  node_id node = 0;
  std::string error;
};
/// Between a node and the job's scheduler, either way.
struct session_message {
  session_no session = 0;
  node_id node = 0; ///< The one that is not the scheduler.
  wire_bytes bytes;
};
/// Scheduler to node: nothing comes from this peer any more.
struct session_peer_gone {
  session_no session = 0;
  node_id node = 0;
};
/// Scheduler to node: the session is over.
struct session_close {
  session_no session = 0;
};
/// Node to scheduler: its part of the session has ended, all of its trace was sent.
struct session_closed {
  session_no session = 0;
  node_id node = 0;
  std::uint64_t tasks = 0, overruns = 0; ///< Of an emulating node.
};
/// Scheduler to node: it is no member any more, and ends.
struct dismissal {
  std::string reason;
};
/// Node to scheduler: bytes from `offset` of a file of the checkpoint being written.
struct snapshot_part {
  session_no session = 0;
  std::uint64_t iteration = 0;
  std::string name;
  std::uint64_t offset = 0, total = 0;
  wire_bytes bytes;
};
/// Node to scheduler: events of its ring.
struct trace_batch {
  session_no session = 0;
  node_id node = 0;
  std::uint64_t overwritten = 0; ///< Lost to a full ring so far.
  std::int64_t clock_offset_ns = 0, clock_uncertainty_ns = 0;
  wire_bytes events; ///< As trace::event lies in memory; both ends are little-endian.
};

/// A member as the scheduler speaks to it.
using worker_actor = caf::typed_actor<
    caf::reacts_to<session_open>, caf::reacts_to<session_message>,
    caf::reacts_to<session_peer_gone>, caf::reacts_to<session_close>, caf::reacts_to<dismissal>,
    caf::reacts_to<revocation_list>, caf::reacts_to<copy_order>,
    caf::replies_to<file_part_request>::with<file_part>, caf::reacts_to<probe_open>,
    caf::reacts_to<probe_pair>, caf::reacts_to<probe_close>>;

// -- membership --------------------------------------------------------------------

/// What a node pretends to be; compute_s = 0: itself.
struct emulation_report {
  double compute_s = 0, time_scale = 1; ///< Emulated seconds; emulated per real one.
  std::uint64_t payload_bytes = 0, sync_bytes = 0;
};
template <class F>
typename F::result_type inspect(F& f, emulation_report& x) {
  return f(caf::meta::type_name("skippipe.emulation_report"), x.compute_s, x.time_scale,
           x.payload_bytes, x.sync_bytes);
}

/// What a node brings.
struct join_request {
  std::uint32_t version = protocol_version;
  std::string cluster, name;
  std::uint64_t incarnation = 0; ///< Grows with every life of the node.
  std::uint64_t life = 0;        ///< Its name on the data plane in this life.
  std::string token;             ///< Of a node that joins for the first time; may be empty.
  std::string device, cpu, location;
  std::string wire_dtype; ///< All of a cluster must agree; so must they on
  bool sealed = false;    ///< whether payloads are encrypted on top of the backend.
  std::uint64_t memory_bytes = 0;
  std::uint32_t memory_microbatches = 1;
  std::string control, data, metrics; ///< HOST:PORT, for people.
  std::string backend;                ///< Of its data plane; members must agree.
  std::string relay;                  ///< Where it relays for others, HOST:PORT; empty: nowhere.
  wire_bytes data_address;            ///< For peers' data planes.
  emulation_report emulation;
  std::uint64_t pid = 0;
  worker_actor worker;
  /// Whether it would be welcome: nothing changes by it, and neither incarnation nor worker is needed.
  bool only_asks = false;
};
struct join_answer {
  std::string refusal;   ///< Empty: welcome.
  bool permanent = true; ///< A refused node need not try again.
  std::uint64_t term = 0;
  std::string control; ///< The scheduler's, HOST:PORT.
};
/// Where is the scheduler? Any node of the cluster knows. The scheduler refuses who speaks another version before
/// anything else is said, so this and `answer` stay what they are in all versions.
struct seed_request {
  std::uint32_t version = protocol_version;
};
/// Asks for the scheduler's clock; a member says what it knows of it so far.
struct clock_request {
  std::uint64_t number = 0;
  std::string name; ///< Empty: nobody's.
  std::int64_t offset_ns = 0, uncertainty_ns = 0;
};
struct clock_answer {
  std::int64_t now_ns = 0;
};
/// Node to scheduler: no more work for it, please; it leaves when it is free.
struct leave_request {
  std::string name;
  std::uint64_t incarnation = 0;
};

// -- clients ------------------------------------------------------------------------

/// A client that follows a job: its events as JSON objects; and the submitter's data.
using follower_actor = caf::typed_actor<caf::reacts_to<std::string>,
                                        caf::replies_to<file_part_request>::with<file_part>>;

struct submit_request {
  std::uint32_t version = protocol_version;
  std::string file, job; ///< As in session_open.
  std::vector<std::string> overrides;
  std::string run_dir;    ///< On the scheduler's machine; empty: it chooses.
  std::string resume;     ///< On the scheduler's machine; empty: a fresh start.
  std::uint64_t last = 0; ///< Stop after this iteration; 0: as the job says.
  file_set data;
  follower_actor follower; ///< Serves `data`; follows until it goes.
};
struct follow_request {
  std::string job;
  follower_actor follower;
};
/// "nodes", "status", "jobs"; "stop", "drain", "remove" and "remove by force" with a name; "token";
/// "relay" with a node's name is answered with the HOST:PORT where it relays;
/// "revoke" with a list as in revocation_list in place of the name.
struct command {
  std::uint32_t version = protocol_version;
  std::string what, name;
  double seconds = 0; ///< drain: the deadline; 0: none. token: how long it can be used.
};
/// `text`: a JSON object, or a job's id; `error` in one line where it is not empty.
struct answer {
  std::string text, error;
};

/// What every daemon publishes: answers with the scheduler's HOST:PORT, or nothing where it is here; with
/// refused_entry and an error for good.
using entry_actor = caf::typed_actor<caf::replies_to<seed_request>::with<answer>>;

/// The scheduler's daemon as others see it.
using coordinator_actor = caf::typed_actor<
    caf::replies_to<seed_request>::with<answer>, caf::replies_to<join_request>::with<join_answer>,
    caf::replies_to<clock_request>::with<clock_answer>,
    caf::replies_to<leave_request>::with<answer>, caf::reacts_to<revocation_list>,
    caf::reacts_to<probe_opened>, caf::reacts_to<probe_result>, caf::reacts_to<session_opened>,
    caf::reacts_to<session_closed>, caf::reacts_to<session_message>,
    caf::replies_to<snapshot_part>::with<answer>, caf::reacts_to<trace_batch>,
    caf::reacts_to<copy_report>, caf::replies_to<file_part_request>::with<file_part>,
    caf::replies_to<submit_request>::with<answer>, caf::replies_to<follow_request>::with<answer>,
    caf::replies_to<command>::with<answer>,
    caf::replies_to<trace_list_request>::with<trace_listing>,
    caf::replies_to<trace_part_request>::with<trace_part>,
    caf::replies_to<trace_pull>::with<trace_events>>;

// -- on the wire ---------------------------------------------------------------------

template <class F>
typename F::result_type inspect(F& f, session_peer& x) {
  return f(caf::meta::type_name("skippipe.session_peer"), x.node, x.life, x.name, x.location,
           x.address);
}
template <class F>
typename F::result_type inspect(F& f, probe_open& x) {
  return f(caf::meta::type_name("skippipe.probe_open"), x.session, x.node, x.most_bytes, x.peers);
}
template <class F>
typename F::result_type inspect(F& f, session_open& x) {
  return f(caf::meta::type_name("skippipe.session_open"), x.session, x.node, x.file, x.job,
           x.overrides, x.microbatches, x.peers, x.data, x.checkpoint, x.secret, x.wire_dtype);
}
template <class F>
typename F::result_type inspect(F& f, session_opened& x) {
  return f(caf::meta::type_name("skippipe.session_opened"), x.session, x.node, x.error);
}
template <class F>
typename F::result_type inspect(F& f, session_message& x) {
  return f(caf::meta::type_name("skippipe.session_message"), x.session, x.node, x.bytes);
}
template <class F>
typename F::result_type inspect(F& f, session_peer_gone& x) {
  return f(caf::meta::type_name("skippipe.session_peer_gone"), x.session, x.node);
}
template <class F>
typename F::result_type inspect(F& f, session_close& x) {
  return f(caf::meta::type_name("skippipe.session_close"), x.session);
}
template <class F>
typename F::result_type inspect(F& f, session_closed& x) {
  return f(caf::meta::type_name("skippipe.session_closed"), x.session, x.node, x.tasks, x.overruns);
}
template <class F>
typename F::result_type inspect(F& f, dismissal& x) {
  return f(caf::meta::type_name("skippipe.dismissal"), x.reason);
}
template <class F>
typename F::result_type inspect(F& f, snapshot_part& x) {
  return f(caf::meta::type_name("skippipe.snapshot_part"), x.session, x.iteration, x.name, x.offset,
           x.total, x.bytes);
}
template <class F>
typename F::result_type inspect(F& f, trace_batch& x) {
  return f(caf::meta::type_name("skippipe.trace_batch"), x.session, x.node, x.overwritten,
           x.clock_offset_ns, x.clock_uncertainty_ns, x.events);
}
template <class F>
typename F::result_type inspect(F& f, join_request& x) {
  return f(caf::meta::type_name("skippipe.join_request"), x.version, x.cluster, x.name,
           x.incarnation, x.life, x.token, x.device, x.cpu, x.location, x.wire_dtype, x.sealed,
           x.memory_bytes, x.memory_microbatches, x.control, x.data, x.metrics, x.backend, x.relay,
           x.data_address, x.emulation, x.pid, x.worker, x.only_asks);
}
template <class F>
typename F::result_type inspect(F& f, join_answer& x) {
  return f(caf::meta::type_name("skippipe.join_answer"), x.refusal, x.permanent, x.term, x.control);
}
template <class F>
typename F::result_type inspect(F& f, seed_request& x) {
  return f(caf::meta::type_name("skippipe.seed_request"), x.version);
}
template <class F>
typename F::result_type inspect(F& f, clock_request& x) {
  return f(caf::meta::type_name("skippipe.clock_request"), x.number, x.name, x.offset_ns,
           x.uncertainty_ns);
}
template <class F>
typename F::result_type inspect(F& f, clock_answer& x) {
  return f(caf::meta::type_name("skippipe.clock_answer"), x.now_ns);
}
template <class F>
typename F::result_type inspect(F& f, leave_request& x) {
  return f(caf::meta::type_name("skippipe.leave_request"), x.name, x.incarnation);
}
template <class F>
typename F::result_type inspect(F& f, submit_request& x) {
  return f(caf::meta::type_name("skippipe.submit_request"), x.version, x.file, x.job, x.overrides,
           x.run_dir, x.resume, x.last, x.data, x.follower);
}
template <class F>
typename F::result_type inspect(F& f, follow_request& x) {
  return f(caf::meta::type_name("skippipe.follow_request"), x.job, x.follower);
}
template <class F>
typename F::result_type inspect(F& f, command& x) {
  // Seconds travel in milliseconds: CAF 0.17 hangs on an infinity.
  auto ms = static_cast<std::uint64_t>(x.seconds < 0 ? 0 : x.seconds * 1000);
  auto save = [&]() -> caf::error { return caf::none; };
  auto load = [&]() -> caf::error {
    x.seconds = static_cast<double>(ms) / 1000;
    return caf::none;
  };
  return f(caf::meta::type_name("skippipe.command"), x.version, x.what, x.name, ms,
           caf::meta::save_callback(save), caf::meta::load_callback(load));
}
template <class F>
typename F::result_type inspect(F& f, answer& x) {
  return f(caf::meta::type_name("skippipe.answer"), x.text, x.error);
}

/// Makes the messages known to CAF under names that all nodes share.
void register_messages(caf::actor_system_config& config);

// -- within a process --------------------------------------------------------------

/// Work that an actor is asked to do in its own turn.
struct errand {
  std::function<void()> run;
};

} // namespace skippipe::runtime::daemon

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skippipe::runtime::daemon::errand)
