// The actor of a daemon that takes part in jobs.
#pragma once

#include "runtime/daemon/copy_shelf.hpp"
#include "runtime/daemon/link_probe.hpp"
#include "runtime/daemon/worker_session.hpp"

#include <functional>
#include <memory>
#include <string>

namespace skippipe::runtime::daemon {

/// Local to the process: the scheduler that orders come from, from now on. Null: it is gone, and with it
/// the running session.
struct new_coordinator {
  coordinator_actor handle;
};

/// A worker, with what else its daemon tells it.
using local_worker_actor =
    worker_actor::extend<caf::reacts_to<new_coordinator>, caf::reacts_to<errand>,
                         // Tells the scheduler of a revocation list that has come from elsewhere.
                         caf::reacts_to<caf::update_atom>>;

struct worker_options {
  worker_host host;
  std::shared_ptr<actors::executor> desk;      ///< Opens and closes sessions: both block.
  std::shared_ptr<actors::executor> copying;   ///< Fetches and reads copies: may take long.
  std::function<void(const std::string&)> log; ///< One line; any thread.
  std::function<void(const std::string& reason)> on_dismissed;
  std::function<void(const std::string& pem)>
      revoke;                           ///< Takes a list over if it is good and newer.
  std::function<std::string()> revoked; ///< The list in use; "" for none.
};

struct worker_state {
  static inline constexpr const char* name = "worker";

  void open(session_open& order);
  void opened(session_no session, std::shared_ptr<worker_session> made, const std::string& error);
  void deliver(const session_message& message);
  void close();
  void take_copy(const copy_order& order);
  caf::result<file_part> read_copy(const file_part_request& wanted);
  void open_probe(const probe_open& order);
  void probe(const probe_pair& order);
  void close_probe();

  local_worker_actor::pointer self = nullptr;
  worker_options options;
  coordinator_actor coordinator;
  std::shared_ptr<copy_shelf> copies; ///< Used on `copying` only.
  session_no wanted = 0;              ///< Opening or open.
  node_id node = 0;                   ///< Our number in it.
  std::shared_ptr<worker_session> session;
  session_no probing = 0; ///< The one in `probes`,
  node_id probe_node = 0; ///< and our number in it.
  std::shared_ptr<std::unique_ptr<link_probe>> probes =
      std::make_shared<std::unique_ptr<link_probe>>(); ///< The desk's.
};

local_worker_actor::behavior_type worker(local_worker_actor::stateful_pointer<worker_state> self,
                                         worker_options options);

} // namespace skippipe::runtime::daemon

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skippipe::runtime::daemon::new_coordinator)
