// The one thread on which a network backend does everything.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace skippipe::transport {

/// Owns a file descriptor; -1 when empty.
class unique_fd {
public:
  unique_fd() = default;
  explicit unique_fd(int fd) noexcept : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~unique_fd();
  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); } ///< The caller's now.

private:
  int fd_ = -1;
};

/// A thread that sleeps on epoll and runs tasks, timers and file descriptor events in turn.
/// Everything but `post`, `on_thread`, `start` and `stop` belongs to that thread.
class progress_thread {
public:
  using clock = std::chrono::steady_clock;
  using task = std::function<void()>;
  using timer_id = std::pair<clock::time_point, std::uint64_t>;

  /// Work that is not driven by a descriptor alone. Each may be empty.
  struct hooks {
    std::function<void()> begin; ///< First thing on the thread.
    std::function<bool()> poll;  ///< Does some work; false when there was none.
    std::function<bool()> arm;   ///< Before sleeping: false when work came in meanwhile.
    std::function<void()> end;   ///< Last thing on the thread.
    bool busy = false;           ///< Never sleep.
  };

  progress_thread();
  ~progress_thread(); ///< Stops.

  /// Empty on success; the system's error when the descriptors or the thread cannot be had.
  std::error_code start(hooks h);

  /// Runs `t` on the thread, after everything posted before. False (and `t` is dropped) when the
  /// thread has not started or has finished.
  bool post(task t);

  bool on_thread() const noexcept { return std::this_thread::get_id() == id_.load(); }

  /// Lets the thread finish after the current round; tasks posted until it does still run.
  void finish() noexcept { finishing_ = true; }
  /// Waits for the end of a thread that was told to `finish`. Not from the thread itself.
  void join();

  void watch(int fd, std::uint32_t events, std::function<void(std::uint32_t)> on_event);
  void rewatch(int fd, std::uint32_t events);
  void unwatch(int fd);

  timer_id at(clock::time_point when, task t);
  void cancel(timer_id id) { timers_.erase(id); }

private:
  void run();
  bool run_tasks();
  bool run_timers();
  clock::duration sleep_time() const;
  void wait(clock::duration limit);

  struct watcher {
    std::function<void(std::uint32_t)> on_event;
    std::uint64_t generation; ///< Tells a reused descriptor number from the one that had the event.
  };

  hooks hooks_;
  unique_fd epoll_, wake_;
  std::thread thread_;
  std::atomic<std::thread::id> id_{};

  std::mutex mutex_; ///< Guards the next three.
  std::vector<task> tasks_;
  bool open_ = false;
  bool asleep_ = false;

  bool finishing_ = false;
  std::map<timer_id, task> timers_;
  std::uint64_t last_timer_ = 0, last_generation_ = 0;
  std::map<int, watcher> watchers_;
};

} // namespace skippipe::transport
