// Ctrl-C and SIGTERM: the first asks, the second ends.
#pragma once

#include <functional>
#include <thread>

namespace skippipe::runtime {

/// Construct before any other thread starts (it blocks the signals for all of them). The first
/// signal calls `on_stop` from a thread of its own, the second `on_end`, then ends the process with 130.
class stop_signal {
public:
  stop_signal();
  ~stop_signal();
  stop_signal(const stop_signal&) = delete;
  stop_signal& operator=(const stop_signal&) = delete;

  void watch(
      std::function<void()> on_stop, std::function<void()> on_end = [] {});

private:
  int event_ = -1;
  int signals_ = -1;
  std::thread watcher_;
};

} // namespace skippipe::runtime
