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
  /// Of a rate, the times that it stands for are averaged: one that falls to nothing is followed as quickly as
  /// a time that grows.
  enum class kind : std::uint8_t { time, rate };

  /// `weight`: of the newest median, 0..1.
  explicit steady_average(kind of = kind::time, double weight = 0.25) : of_(of), weight_(weight) {}

  void add(double value) {
    last_[count_++ % last_.size()] = value;
    const auto here = std::min<std::uint64_t>(count_, last_.size());
    auto sorted = last_;
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(here / 2);
    std::nth_element(sorted.begin(), middle, sorted.begin() + static_cast<std::ptrdiff_t>(here));
    if (count_ <= last_.size())
      value_ = *middle;
    else if (of_ == kind::time)
      value_ += weight_ * (*middle - value_);
    else
      value_ = 1 / (1 / value_ + weight_ * (1 / *middle - 1 / value_));
  }

  bool known() const { return count_ > 0; }
  double value() const { return value_; } ///< 0 before the first.

private:
  kind of_;
  double weight_;
  double value_ = 0;
  std::array<double, 5> last_{};
  std::uint64_t count_ = 0;
};

} // namespace skippipe::scheduler
