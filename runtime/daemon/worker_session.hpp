// A node's part in one session of a job: the node actor and all that it needs.
#pragma once

#include "actors/compute_pool.hpp"
#include "actors/emulated_shard.hpp"
#include "actors/node.hpp"
#include "actors/tracer.hpp"
#include "runtime/config/job_config.hpp"
#include "runtime/daemon/clock_offset.hpp"
#include "runtime/daemon/data_plane.hpp"
#include "runtime/daemon/messages.hpp"
#include "runtime/daemon/part_asker.hpp"
#include "runtime/daemon/upload_limits.hpp"

#include <filesystem>
#include <memory>
#include <string>

namespace skippipe::actors {
struct sample_source;
}
namespace skippipe::model {
struct shard_snapshot;
}

namespace skippipe::runtime::daemon {

/// What a daemon lends to its sessions; outlives them.
struct worker_host {
  const node_config* config = nullptr;
  caf::actor_system* system = nullptr;
  data_plane* data = nullptr;
  actors::compute_pool* compute = nullptr;
  actors::compute_pool* background = nullptr;
  const clock_offset* scheduler_clock = nullptr;
  upload_limits* upload = nullptr;
  const part_asker* asker = nullptr;
  std::uint64_t incarnation = 1;
  std::filesystem::path dir; ///< Of fetched files and snapshots on their way.
};

/// Made and destroyed on a thread that is no actor's: both block.
class worker_session {
public:
  /// Fetches what is missing, reaches the peers, starts the actors. Throws std::runtime_error with
  /// one line.
  worker_session(const worker_host& host, session_open order, worker_actor worker,
                 coordinator_actor coordinator);
  ~worker_session(); ///< Waits for the actors and the last of the trace.
  worker_session(const worker_session&) = delete;
  worker_session& operator=(const worker_session&) = delete;

  // Any thread:
  session_no number() const { return order_.session; }
  void deliver(const session_message& message); ///< From the job's scheduler.
  void peer_gone(node_id node);
  const actors::emulated_compute& emulated() const { return *emulated_; }

private:
  class net;
  std::shared_ptr<actors::environment> make_environment();
  actors::shard_factory make_factory();
  void send_snapshot(const model::shard_snapshot& taken) const;

  const worker_host host_;
  const session_open order_;
  const coordinator_actor coordinator_;
  job_config job_;
  std::unique_ptr<actors::sample_source> samples_;
  std::filesystem::path restored_from_; ///< A fetched checkpoint; empty: a fresh start.
  std::shared_ptr<actors::mail_router> router_;
  std::shared_ptr<net> net_;
  std::shared_ptr<actors::environment> env_;
  std::shared_ptr<actors::emulated_compute> emulated_;
  actors::node_actor node_;
  actors::tracer_actor tracer_;
};

} // namespace skippipe::runtime::daemon
