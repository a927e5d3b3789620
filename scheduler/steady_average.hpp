// A moving average that one outlier does not move.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace skippipe::scheduler {

/// Exponentially weighted average of the medians of the last five values: what happens once (a page cache
/// that was cold, a process beside ours) leaves no trace, what stays is followed within a few values.
class steady_average {
public:
  /// `weight`: of the newest median, 0..1.
  steady_average() = default;
  explicit steady_average(double weight) : weight_(weight) {}

  void add(double value) {
    last_[count_++ % last_.size()] = value;
    const auto here = std::min<std::uint64_t>(count_, last_.size());
    auto sorted = last_;
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(here / 2);
    std::nth_element(sorted.begin(), middle, sorted.begin() + static_cast<std::ptrdiff_t>(here));
    value_ = count_ <= last_.size() ? *middle : value_ + weight_ * (*middle - value_);
  }

  bool known() const { return count_ > 0; }
  double value() const { return value_; } ///< 0 before the first.

private:
  double weight_ = 0.25;
  double value_ = 0;
  std::array<double, 5> last_{};
  std::uint64_t count_ = 0;
};

} // namespace skippipe::scheduler
