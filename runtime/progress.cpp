#include "runtime/progress.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace skippipe::runtime {

std::string duration_text(double seconds) {
  const auto total = static_cast<long>(std::lround(std::clamp(seconds, 0.0, 1e8)));
  char text[48];
  if (total >= 3600)
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", total / 3600, total / 60 % 60, total % 60);
  else
    std::snprintf(text, sizeof text, "%ld:%02ld", total / 60, total % 60);
  return text;
}

void progress_view::update(const actors::iteration_report& report) {
  done_ = report.iteration;
  loss_ = report.loss;
  const double speed =
      report.iteration_s > 0 ? static_cast<double>(report.tokens) / report.iteration_s : 0;
  const double weight = any_ ? 0.1 : 1.0;
  tokens_per_s_ += weight * (speed - tokens_per_s_);
  iteration_s_ += weight * (report.iteration_s - iteration_s_);
  if (report.microbatches > 0) {
    skipped_share_ = static_cast<double>(report.skipped_microbatches) / report.microbatches;
    swapped_share_ = static_cast<double>(report.swapped_microbatches) / report.microbatches;
  }
  any_ = true;
}

std::string progress_view::eta() const {
  const auto left = static_cast<double>(last_ - std::min(done_, last_));
  return any_ ? duration_text(left * iteration_s_ / time_scale_) : "-:--";
}

std::string progress_view::bar(std::size_t width) const {
  char text[160];
  std::snprintf(text, sizeof text,
                " %llu/%llu  loss %.3f  %.0f tokens/s  ETA %s  skipped %.0f%% swapped %.0f%%",
                static_cast<unsigned long long>(done_), static_cast<unsigned long long>(last_),
                loss_, tokens_per_s_, eta().c_str(), 100 * skipped_share_, 100 * swapped_share_);
  std::string result = text;
  if (result.size() + 12 < width) {
    const auto room = std::min<std::size_t>(width - result.size() - 3, 30);
    const double share = last_ == 0 ? 0 : static_cast<double>(done_) / static_cast<double>(last_);
    const auto filled =
        static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(room));
    result = "[" + std::string(filled, '#') + std::string(room - filled, '.') + "]" + result;
  }
  return result.substr(0, width);
}

std::string progress_view::line() const {
  char text[200];
  std::snprintf(text, sizeof text,
                "iteration %llu/%llu  loss %.4f  %.0f tokens/s  ETA %s  skipped %.0f%% swapped "
                "%.0f%% of microbatches",
                static_cast<unsigned long long>(done_), static_cast<unsigned long long>(last_),
                loss_, tokens_per_s_, eta().c_str(), 100 * skipped_share_, 100 * swapped_share_);
  return text;
}

} // namespace skippipe::runtime
