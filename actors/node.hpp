// The actor that supervises a node's stage, origin and reducer.
#pragma once

#include "actors/environment.hpp"
#include "actors/interfaces.hpp"
#include "actors/shard_worker.hpp"
#include "actors/warm_up.hpp"

#include <memory>
#include <mutex>
#include <vector>

namespace skippipe::actors {

/// Where a node's link delivers: data straight to the stage's and the reducer's mailbox, all else
/// to the node actor. Thread-safe.
class mail_router {
public:
  void set_node(node_actor handle);
  void set_replica(stage_actor stage, reducer_actor reducer);
  void deliver(inbound message);
  link_receiver receiver(); ///< Must not outlive the router.

private:
  std::mutex mutex_;
  node_actor node_;
  stage_actor stage_;
  reducer_actor reducer_;
};

struct node_options {
  std::shared_ptr<mail_router> router;
  std::shared_ptr<environment> env;
  shard_factory make_shard;
  warm_up_limits warm_up;
  std::int64_t reduction_bucket = std::int64_t{1} << 20; ///< Elements.
};

/// The result of building a shard on the executor.
struct shard_built {
  assign order;
  std::unique_ptr<shard_worker> shard;
  std::int64_t gradient_size = 0;
  std::uint64_t hash = 0;
  task_seconds costs;
  std::string error;
};

struct node_state {
  static inline constexpr const char* name = "node";

  void accept(inbound& message);
  void adopt(shard_built& built);
  void report(const failed& problem);
  void child_down(const caf::down_msg& down);
  void retire_children(); ///< When they have done what they were told before.
  void stop_children();   ///< At once.

  node_actor::pointer self = nullptr;
  node_options options;
  stage_actor stage_handle;
  origin_actor origin_handle;
  reducer_actor reducer_handle;

private:
  bool current(term_no term);
  void build(const assign& order);

  term_no term_ = 0;
  bool assigned_ = false;
  bool retired_ = false;              ///< Told to stop.
  std::vector<inbound> before_stage_; ///< What came while the shard was being built.
};

node_actor::behavior_type node(node_actor::stateful_pointer<node_state> self, node_options options);

} // namespace skippipe::actors
