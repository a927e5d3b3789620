#include "scheduler/reduction.hpp"

#include <algorithm>

namespace skippipe::scheduler {

bool reduces(const instance& problem) {
  const std::size_t links = problem.link_s.size();
  return problem.sync_bytes.size() == problem.stages && problem.latency_s.size() == links
         && problem.bandwidth_Bps.size() == links;
}

namespace {

/// Seconds of one round from `a` to `b` where `size` nodes reduce `stage`.
double round_seconds(const instance& problem, stage_id stage, std::size_t size, node_id a,
                     node_id b) {
  const std::size_t link = a * problem.nodes.size() + b;
  return problem.latency_s[link]
         + problem.sync_bytes[stage] / double(size) / std::max(problem.bandwidth_Bps[link], 1e-9);
}

/// Calls `visit` with the seconds of one round over every link between `nodes`.
template <class Visit>
void for_each_round(const instance& problem, stage_id stage, const std::vector<node_id>& nodes,
                    Visit visit) {
  for (const node_id a : nodes)
    for (const node_id b : nodes)
      if (a != b)
        visit(round_seconds(problem, stage, nodes.size(), a, b));
}

} // namespace

double reduction_seconds(const instance& problem, stage_id stage,
                         const std::vector<node_id>& nodes) {
  double slowest = 0;
  for_each_round(problem, stage, nodes, [&](double s) { slowest = std::max(slowest, s); });
  return 2 * slowest;
}

double least_reduction_seconds(const instance& problem, stage_id stage, std::uint32_t size) {
  if (size < 2)
    return 0;
  // Every one of the nodes sends to size - 1 others, each over no quicker a link than its quickest so many.
  std::vector<double> slowest;
  for (node_id a = 0; a < problem.nodes.size(); ++a) {
    std::vector<double> rounds;
    for (node_id b = 0; b < problem.nodes.size(); ++b)
      if (b != a)
        rounds.push_back(round_seconds(problem, stage, size, a, b));
    const auto last = rounds.begin() + (size - 2);
    std::nth_element(rounds.begin(), last, rounds.end());
    slowest.push_back(*last);
  }
  const auto last = slowest.begin() + (size - 1);
  std::nth_element(slowest.begin(), last, slowest.end());
  return 2 * *last;
}

double mean_reduction_seconds(const instance& problem, stage_id stage,
                              const std::vector<node_id>& nodes) {
  double sum = 0;
  for_each_round(problem, stage, nodes, [&](double s) { sum += s; });
  const auto links = double(nodes.size() * (nodes.size() - 1));
  return links > 0 ? 2 * sum / links : 0;
}

} // namespace skippipe::scheduler
