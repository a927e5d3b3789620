// Stops a commit whose gradient cannot be right (R13).
#pragma once

#include "scheduler/ids.hpp"

#include <cstddef>
#include <deque>
#include <map>
#include <optional>

namespace skippipe::actors {

/// Remembers each stage's recent gradient norms.
class norm_guard {
public:
  /// The stage is suspect when its norm is not finite, or over `factor` times the median of its last
  /// `window` norms (once it has seen `least` of them).
  static constexpr double factor = 100;
  static constexpr std::size_t window = 33;
  static constexpr std::size_t least = 8;

  /// The first suspect stage, or nullopt. `squared_norms`: per stage.
  std::optional<stage_id> suspect(const std::map<stage_id, double>& squared_norms) const;

  /// The iteration was committed with these.
  void remember(const std::map<stage_id, double>& squared_norms);

private:
  std::map<stage_id, std::deque<double>> recent_; ///< Norms, not squared.
};

} // namespace skippipe::actors
