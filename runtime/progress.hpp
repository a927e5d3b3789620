// How a running job looks to the person in front of it.
#pragma once

#include "actors/job_scheduler.hpp"

#include <cstdint>
#include <string>

namespace skippipe::runtime {

/// Follows a job and turns its reports into text; pure.
class progress_view {
public:
  /// `time_scale`: seconds of the reports that pass in a real one; the time left is in real ones.
  progress_view(iteration_no first, iteration_no last, double time_scale = 1)
      : done_(first), last_(last), time_scale_(time_scale) {}

  void update(const actors::iteration_report& report);

  /// One line that replaces itself on a terminal, at most `width` columns.
  std::string bar(std::size_t width) const;
  /// One plain line for logs.
  std::string line() const;

  double tokens_per_s() const { return tokens_per_s_; } ///< Smoothed.

private:
  std::string eta() const;

  iteration_no done_, last_;
  double time_scale_;
  double loss_ = 0;
  double tokens_per_s_ = 0;
  double iteration_s_ = 0;
  double skipped_share_ = 0;
  double swapped_share_ = 0;
  bool any_ = false;
};

/// "1:02:03" or "4:05".
std::string duration_text(double seconds);

} // namespace skippipe::runtime
