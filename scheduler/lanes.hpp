// Several walks at once, the best of which counts.
#pragma once

#include <algorithm>
#include <thread>
#include <vector>

namespace skippipe::scheduler {

/// Calls `walk(lane)` for every lane, each on a thread of its own, lane 0 on the caller's, and returns the
/// first lane of the least `price(lane)`. Neither may throw; prices are asked for once all walks are over.
template <class Walk, class Price>
unsigned best_lane(unsigned lanes, const Walk& walk, const Price& price) {
  std::vector<std::thread> helpers;
  for (unsigned lane = 1; lane < lanes; ++lane)
    helpers.emplace_back([&walk, lane] { walk(lane); });
  walk(0);
  for (std::thread& t : helpers)
    t.join();
  std::vector<double> prices;
  for (unsigned lane = 0; lane < lanes; ++lane)
    prices.push_back(price(lane));
  return static_cast<unsigned>(std::min_element(prices.begin(), prices.end()) - prices.begin());
}

} // namespace skippipe::scheduler
