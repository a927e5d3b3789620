// The real executor: strands over a few worker threads.
#pragma once

#include "actors/executor.hpp"

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace skippipe::actors {

/// Worker threads shared by the strands of one machine. A strand runs its tasks in order, one at a
/// time; strands with work share the workers first come, first served. A daemon has one strand and
/// one worker per device; an embedded cluster has a strand per node and a worker per core.
class compute_pool {
public:
  /// `on_start` runs first on every worker (thread counts, names).
  explicit compute_pool(unsigned workers, std::function<void()> on_start = {});
  ~compute_pool(); ///< Runs what was submitted, then joins.
  compute_pool(const compute_pool&) = delete;
  compute_pool& operator=(const compute_pool&) = delete;

  std::unique_ptr<executor> make_strand(); ///< Must not outlive the pool.

private:
  class strand;
  struct queue {
    std::deque<std::function<void()>> tasks;
    bool scheduled = false; ///< In ready_ or being run.
  };

  void submit(const std::shared_ptr<queue>& target, std::function<void()> work);
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<queue>> ready_;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

} // namespace skippipe::actors
