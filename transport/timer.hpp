// Time for the emulation: the machine's, or a test's own.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace skippipe::transport {

/// A clock with alarms. Functions may be called from any thread.
class timer {
public:
  virtual ~timer() = default;
  /// Since some fixed moment; never goes back.
  virtual std::chrono::nanoseconds now() = 0;
  /// Runs `task` once at `when` or soon after, never inside this call. Tasks run one at a time, in
  /// the order of their times (equal times: of the calls).
  virtual void at(std::chrono::nanoseconds when, std::function<void()> task) = 0;
};

/// The machine's monotonic clock and a thread for the alarms. One emulated second takes `scale` real
/// seconds. Alarms still waiting at the end are dropped.
std::shared_ptr<timer> make_real_timer(double scale = 1);

} // namespace skippipe::transport
