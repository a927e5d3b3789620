#include "runtime/daemon/probe_rounds.hpp"

#include <algorithm>
#include <numeric>

namespace skippipe::runtime::daemon {

std::vector<std::vector<node_pair>> probe_rounds(std::size_t nodes, std::size_t most,
                                                 const std::function<bool(node_pair)>& wanted) {
  std::vector<std::vector<node_pair>> rounds;
  const std::size_t seats = nodes + nodes % 2; // Of an odd number one rests in each round.
  std::vector<std::size_t> circle(seats);
  std::iota(circle.begin(), circle.end(), std::size_t{0});
  for (std::size_t round = 0; round + 1 < seats && rounds.size() < most; ++round) {
    std::vector<node_pair> pairs;
    for (std::size_t i = 0; i < seats / 2; ++i) {
      const auto [a, b] = std::minmax(circle[i], circle[seats - 1 - i]);
      const node_pair one{static_cast<node_id>(a), static_cast<node_id>(b)};
      if (b < nodes && wanted(one))
        pairs.push_back(one);
    }
    if (!pairs.empty())
      rounds.push_back(std::move(pairs));
    std::rotate(circle.begin() + 1, circle.end() - 1, circle.end());
  }
  return rounds;
}

} // namespace skippipe::runtime::daemon
