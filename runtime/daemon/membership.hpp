// How a worker finds its scheduler, joins, and comes back when the connection was lost.
#pragma once

#include "runtime/daemon/clock_offset.hpp"
#include "runtime/daemon/control_plane.hpp"
#include "runtime/daemon/worker.hpp"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace skippipe::runtime::daemon {

struct membership_options {
  control_plane* plane = nullptr;
  std::vector<address> seeds;
  coordinator_actor local; ///< In this process; then `seeds` are not asked.
  local_worker_actor worker;
  join_request introduction; ///< All but incarnation.
  /// What must be known before joining, asked of the scheduler: "" or why it is not. May be empty.
  std::function<std::string(const coordinator_actor&, join_request&)> prepare;
  std::function<std::uint64_t()> incarnation; ///< The next one.
  clock_offset* clock = nullptr;
  double detect_within_s = 4;
  std::function<void(const std::string&)> log;
  std::function<void(const std::string& scheduler)> on_joined; ///< Its HOST:PORT.
  std::function<void(const std::string&)> on_refused;          ///< For good.
};

class membership {
public:
  explicit membership(membership_options options);
  ~membership(); ///< Leaves the thread; says nothing to the scheduler.
  membership(const membership&) = delete;
  membership& operator=(const membership&) = delete;

  /// Asks to be drained: "" (dismissed when that is done) or why not. Blocks.
  std::string leave();

private:
  void run();
  coordinator_actor find();
  bool join(const coordinator_actor& where);
  void stay(const coordinator_actor& where);
  bool pause(double seconds); ///< False when it is time to end.

  membership_options options_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;
  caf::actor waiting_;            ///< Whom to wake in stay(). Guarded by mutex_.
  coordinator_actor current_;     ///< Guarded by mutex_.
  std::uint64_t incarnation_ = 0; ///< Of the last request to join. Guarded by mutex_.
  std::string last_problem_, scheduler_;
  std::thread thread_;
};

} // namespace skippipe::runtime::daemon
