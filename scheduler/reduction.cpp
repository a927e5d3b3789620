#include "scheduler/reduction.hpp"

#include <algorithm>

namespace skippipe::scheduler {

bool reduces(const instance& problem) {
  const std::size_t links = problem.link_s.size();
  return problem.sync_bytes.size() == problem.stages && problem.latency_s.size() == links
         && problem.bandwidth_Bps.size() == links;
}

namespace {

/// Calls `visit` with the seconds of one round over every link between `nodes`.
template <class Visit>
void for_each_round(const instance& problem, stage_id stage, const std::vector<node_id>& nodes,
                    Visit visit) {
  const double bytes = problem.sync_bytes[stage] / double(nodes.size());
  for (const node_id a : nodes)
    for (const node_id b : nodes) {
      const std::size_t link = a * problem.nodes.size() + b;
      if (a != b)
        visit(problem.latency_s[link] + bytes / std::max(problem.bandwidth_Bps[link], 1e-9));
    }
}

} // namespace

double reduction_seconds(const instance& problem, stage_id stage,
                         const std::vector<node_id>& nodes) {
  double slowest = 0;
  for_each_round(problem, stage, nodes, [&](double s) { slowest = std::max(slowest, s); });
  return 2 * slowest;
}

double mean_reduction_seconds(const instance& problem, stage_id stage,
                              const std::vector<node_id>& nodes) {
  double sum = 0;
  for_each_round(problem, stage, nodes, [&](double s) { sum += s; });
  const auto links = double(nodes.size() * (nodes.size() - 1));
  return links > 0 ? 2 * sum / links : 0;
}

} // namespace skippipe::scheduler
