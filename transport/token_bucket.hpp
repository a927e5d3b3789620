// A bound on bytes per second.
#pragma once

#include <chrono>
#include <mutex>

namespace skippipe::transport {

/// A token bucket that may go into debt: whoever finds it not in debt takes what he needs, however much that
/// is, and the next one waits until it is paid back. So in any time T at most rate * T bytes leave, plus the
/// burst and one message. Thread-safe; `now` is of one clock and does not go back.
class token_bucket {
public:
  using nanoseconds = std::chrono::nanoseconds;

  /// Bytes per second; 0: no bound.
  explicit token_bucket(double rate = 0) : rate_(rate) {}

  void set_rate(double rate, nanoseconds now);
  double rate() const;
  /// How long until something may leave; 0: now.
  nanoseconds wait(nanoseconds now);
  void take(double bytes, nanoseconds now);
  /// Bytes taken so far, also while there was no bound.
  double taken() const;

private:
  void refill(nanoseconds now);

  mutable std::mutex mutex_;
  double rate_;
  double tokens_ = 0; ///< Bytes; below 0: a debt.
  double taken_ = 0;
  nanoseconds last_{0};
};

} // namespace skippipe::transport
