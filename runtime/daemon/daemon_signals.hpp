// What wakes a daemon's main thread: signals, and what other threads tell it.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>

namespace skippipe::runtime::daemon {

/// Construct before any other thread starts: it blocks the signals for all of them.
class daemon_signals {
public:
  enum class kind { terminate, interrupt, reload, dismissed, refused };
  struct event {
    kind what;
    std::string reason;
  };

  daemon_signals();
  ~daemon_signals();
  daemon_signals(const daemon_signals&) = delete;
  daemon_signals& operator=(const daemon_signals&) = delete;

  void tell(event what); ///< Any thread.
  /// The next event, or none after `patience`.
  std::optional<event> wait(std::chrono::milliseconds patience);

private:
  int signals_ = -1, bell_ = -1;
  std::mutex mutex_;
  std::optional<event> told_; ///< The first one; guarded by mutex_.
};

} // namespace skippipe::runtime::daemon
