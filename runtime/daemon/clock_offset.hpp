// The scheduler's clock as a node knows it.
#pragma once

#include <cstdint>
#include <limits>
#include <mutex>

namespace skippipe::runtime::daemon {

/// From questions and answers: the offset is known to half a round trip (Cristian, 1989). Keeps the best
/// answer and distrusts it more with time, as quartz drifts. Thread-safe.
class clock_offset {
public:
  struct estimate {
    std::int64_t offset_ns = 0; ///< Scheduler's clock minus this node's.
    std::int64_t uncertainty_ns = std::numeric_limits<std::int64_t>::max() / 4; ///< Half the width.
  };

  void add(std::int64_t asked_ns, std::int64_t theirs_ns, std::int64_t answered_ns) {
    const auto half = (answered_ns - asked_ns) / 2;
    const estimate fresh{theirs_ns - asked_ns - half, half};
    const std::lock_guard guard{mutex_};
    if (fresh.uncertainty_ns <= aged(answered_ns).uncertainty_ns) {
      best_ = fresh;
      at_ns_ = answered_ns;
    }
  }
  estimate at(std::int64_t now_ns) const {
    const std::lock_guard guard{mutex_};
    return aged(now_ns);
  }

private:
  /// 50 millionths of the time since, each way.
  estimate aged(std::int64_t now_ns) const {
    auto result = best_;
    result.uncertainty_ns += (now_ns - at_ns_) / 20'000;
    return result;
  }

  mutable std::mutex mutex_;
  estimate best_;
  std::int64_t at_ns_ = 0;
};

} // namespace skippipe::runtime::daemon
