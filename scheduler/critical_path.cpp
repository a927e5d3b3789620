#include "scheduler/critical_path.hpp"

#include <vector>

namespace skippipe::scheduler {

std::set<std::pair<std::size_t, std::uint32_t>>
critical_path(const instance& problem, const plan& p, const simulation& timed) {
  std::vector<std::vector<std::pair<std::size_t, std::uint32_t>>> on_node(problem.nodes.size());
  for (std::size_t i = 0; i < p.paths.size(); ++i)
    for (std::uint32_t s = 0; s < step_count(p.paths[i]); ++s)
      on_node[step_node(p.paths[i], s)].emplace_back(i, s);
  std::pair<std::size_t, std::uint32_t> at{0, 0};
  for (std::size_t i = 0; i < p.paths.size(); ++i)
    if (timed.end[i].back() >= timed.end[at.first].back())
      at = {i, step_count(p.paths[i]) - 1};
  std::set<std::pair<std::size_t, std::uint32_t>> result;
  while (result.insert(at).second) {
    const double begin = timed.start[at.first][at.second];
    double arrival = -1;
    if (at.second > 0)
      arrival = timed.end[at.first][at.second - 1]
                + problem.link(step_node(p.paths[at.first], at.second - 1),
                               step_node(p.paths[at.first], at.second));
    if (arrival >= begin) {
      --at.second;
      continue;
    }
    for (const auto& other : on_node[step_node(p.paths[at.first], at.second)])
      if (other != at && timed.end[other.first][other.second] == begin) {
        at = other;
        break;
      }
  }
  return result;
}

} // namespace skippipe::scheduler
