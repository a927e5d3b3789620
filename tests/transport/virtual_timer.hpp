// Time that passes when a test says so.
#pragma once

#include "transport/timer.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace skippipe::transport::testing {

/// Runs alarms when the test says so.
class virtual_timer final : public timer {
public:
  std::chrono::nanoseconds now() override { return now_; }
  void at(std::chrono::nanoseconds when, std::function<void()> task) override {
    tasks_.emplace(std::pair{std::max(when, now_), ++last_}, std::move(task));
  }
  /// Runs all alarms up to `end`.
  void run_until(std::chrono::nanoseconds end) {
    while (!tasks_.empty() && tasks_.begin()->first.first <= end) {
      const auto task = std::move(tasks_.begin()->second);
      now_ = tasks_.begin()->first.first;
      tasks_.erase(tasks_.begin());
      task();
    }
    now_ = end;
  }

private:
  std::chrono::nanoseconds now_{0};
  std::uint64_t last_ = 0;
  std::map<std::pair<std::chrono::nanoseconds, std::uint64_t>, std::function<void()>> tasks_;
};

} // namespace skippipe::transport::testing
