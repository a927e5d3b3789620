#include "actors/norm_guard.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace skippipe::actors {

std::optional<stage_id> norm_guard::suspect(const std::map<stage_id, double>& squared_norms) const {
  for (const auto& [stage, squared] : squared_norms) {
    if (!std::isfinite(squared))
      return stage;
    auto seen = recent_.find(stage);
    if (seen == recent_.end() || seen->second.size() < least)
      continue;
    std::vector<double> sorted(seen->second.begin(), seen->second.end());
    auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    if (std::sqrt(squared) > factor * *middle)
      return stage;
  }
  return std::nullopt;
}

void norm_guard::remember(const std::map<stage_id, double>& squared_norms) {
  for (const auto& [stage, squared] : squared_norms) {
    auto& norms = recent_[stage];
    norms.push_back(std::sqrt(squared));
    if (norms.size() > window)
      norms.pop_front();
  }
}

} // namespace skippipe::actors
