#include "transport/token_bucket.hpp"

#include <algorithm>
#include <cmath>

namespace skippipe::transport {

namespace {

/// What may leave at once after a silence: this much time's worth.
constexpr double burst_s = 0.02;

} // namespace

void token_bucket::refill(nanoseconds now) {
  const auto passed = std::chrono::duration<double>(now - last_).count();
  last_ = std::max(last_, now);
  if (rate_ > 0 && passed > 0)
    tokens_ = std::min(tokens_ + rate_ * passed, rate_ * burst_s);
}

void token_bucket::set_rate(double rate, nanoseconds now) {
  const std::lock_guard guard{mutex_};
  refill(now);
  rate_ = rate;
  tokens_ = rate > 0 ? std::min(tokens_, rate * burst_s) : 0;
}

double token_bucket::rate() const {
  const std::lock_guard guard{mutex_};
  return rate_;
}

token_bucket::nanoseconds token_bucket::wait(nanoseconds now) {
  const std::lock_guard guard{mutex_};
  refill(now);
  if (rate_ <= 0 || tokens_ >= 0)
    return nanoseconds{0};
  // Rounded up, and never so far that the sum of two times overflows.
  return nanoseconds{static_cast<std::int64_t>(std::ceil(std::min(-tokens_ / rate_ * 1e9, 1e18)))};
}

void token_bucket::take(double bytes, nanoseconds now) {
  const std::lock_guard guard{mutex_};
  refill(now);
  taken_ += bytes;
  if (rate_ > 0)
    tokens_ -= bytes;
}

double token_bucket::taken() const {
  const std::lock_guard guard{mutex_};
  return taken_;
}

} // namespace skippipe::transport
