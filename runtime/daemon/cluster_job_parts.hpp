// What a cluster_job is made of, for its source files.
#pragma once

#include "actors/protocol/codec.hpp"
#include "runtime/daemon/cluster_job.hpp"
#include "runtime/train/job_setup.hpp"
#include "runtime/train/reporter.hpp"

#include <mutex>
#include <utility>
#include <vector>

namespace skippipe::runtime::daemon {

/// To the nodes of the session, over the control plane.
class cluster_job::net final : public actors::link {
public:
  net(session_no session, const std::vector<job_node>& nodes) : session_(session) {
    for (const auto& node : nodes)
      workers_.push_back(node.worker);
  }

  void send(node_id to, actors::wire_message message, actors::payload) override {
    const auto bytes = actors::encode(actors::scheduler_address, message);
    const auto* first = reinterpret_cast<const char*>(bytes.data());
    worker_actor worker;
    {
      const std::lock_guard guard{mutex_};
      worker = workers_.at(to);
    }
    if (worker)
      caf::anon_send(worker, session_message{session_, to, {first, first + bytes.size()}});
  }

  void forget(node_id node) {
    const std::lock_guard guard{mutex_};
    workers_.at(node) = nullptr;
  }

private:
  const session_no session_;
  std::mutex mutex_;
  std::vector<worker_actor> workers_; ///< By node number. Guarded by mutex_.
};

/// RUN/instance.json, for `skippipe plan --instance`. What cannot be written is done without.
void keep_problem(const std::filesystem::path& run_dir, const scheduler::instance& problem);

/// A planned session, not opened yet.
struct cluster_job::launch {
  job_config job;
  std::vector<job_node> nodes;
  std::shared_ptr<run_folder_lock> folder_lock;
  std::shared_ptr<checkpointing> checkpoints;
  scheduler::instance problem;
  actors::job_options options;
  run_summary summary;
  file_set restored;
  double time_scale = 1;
  std::function<scheduler::instance(const scheduler::cost_tracker&)> measured;
};

} // namespace skippipe::runtime::daemon
