// One thread for work that would hold a progress thread up.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace skippipe::transport {

/// Runs tasks in order; starts with the first one. Tasks must not throw.
class side_thread {
public:
  side_thread() = default;
  ~side_thread() { stop(); }
  side_thread(const side_thread&) = delete;
  side_thread& operator=(const side_thread&) = delete;

  void run(std::function<void()> task) {
    const std::lock_guard guard(mutex_);
    if (stopped_)
      return;
    tasks_.push_back(std::move(task));
    if (!thread_.joinable())
      thread_ = std::thread([this] { work(); });
    changed_.notify_one();
  }

  /// No task starts any more; waits for the one that runs, unless called by it.
  void stop() {
    {
      const std::lock_guard guard(mutex_);
      stopped_ = true;
      tasks_.clear();
      changed_.notify_one();
    }
    const std::lock_guard joining(joining_);
    if (thread_.joinable() && thread_.get_id() != std::this_thread::get_id())
      thread_.join();
  }

private:
  void work() {
    std::unique_lock guard(mutex_);
    for (;;) {
      changed_.wait(guard, [&] { return stopped_ || !tasks_.empty(); });
      if (stopped_)
        return;
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      guard.unlock();
      task();
      task = nullptr; // releases what it captured, outside the lock
      guard.lock();
    }
  }

  std::mutex mutex_, joining_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool stopped_ = false;
  std::thread thread_;
};

} // namespace skippipe::transport
