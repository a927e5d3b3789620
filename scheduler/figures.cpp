#include "scheduler/figures.hpp"

#include "scheduler/reduction.hpp"
#include "scheduler/simulator.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace skippipe::scheduler {

plan_figures figures_of(const instance& problem, const plan& p) {
  const simulation timed = simulate(problem, p.paths, p.order);
  plan_figures f;
  f.makespan_s = timed.makespan_s;
  if (!timed.violations.empty() || timed.makespan_s <= 0)
    return f;
  double all = 0, origins = 0;
  for (const double busy : timed.busy_s)
    all += busy;
  for (const node_id o : p.arrangement[0])
    origins += timed.busy_s[o];
  const double nodes = double(problem.nodes.size()), first = double(p.arrangement[0].size());
  f.utilisation = all / (timed.makespan_s * nodes);
  f.relay_share = all > 0 ? (all - origins) / all : 0;
  f.origin_utilisation = origins / (timed.makespan_s * first);
  f.relay_utilisation = nodes > first ? (all - origins) / (timed.makespan_s * (nodes - first)) : 0;
  return f;
}

namespace {

bool has_more_than_tasks(const instance& problem) {
  return reduces(problem) || problem.commit_s > 0;
}

double end_of_iteration(const instance& problem, const plan& p, const simulation& timed) {
  std::vector<double> last(problem.stages, 0);
  for (std::size_t i = 0; i < timed.end.size(); ++i) {
    last[0] = std::max(last[0], timed.end[i].back());
    for (std::size_t h = 0; h < p.paths[i].hops.size(); ++h) {
      double& stage = last[p.paths[i].hops[h].stage];
      stage = std::max(stage, timed.end[i][timed.end[i].size() - 2 - h]);
    }
  }
  double end = timed.makespan_s;
  for (stage_id s = 0; reduces(problem) && s < problem.stages; ++s)
    end = std::max(end, last[s] + reduction_seconds(problem, s, p.arrangement[s]));
  return end + problem.commit_s;
}

} // namespace

std::optional<double> iteration_seconds(const instance& problem, const plan& p) {
  if (!has_more_than_tasks(problem))
    return std::nullopt;
  return end_of_iteration(problem, p, simulate(problem, p.paths, p.order));
}

double predicted_seconds(const instance& problem, const plan& p) {
  const simulation timed = simulate(problem, p.paths, p.order);
  if (!timed.violations.empty())
    return std::numeric_limits<double>::infinity();
  return has_more_than_tasks(problem) ? end_of_iteration(problem, p, timed) : timed.makespan_s;
}

std::string origin_advice(const instance& problem, const plan& p) {
  const plan_figures f = figures_of(problem, p);
  if (problem.stages < 2 || f.origin_utilisation < 0.7
      || f.origin_utilisation < 1.25 * f.relay_utilisation)
    return {};
  const double share = (f.origin_utilisation + f.relay_utilisation) / 2 / f.origin_utilisation;
  return "origins are the bottleneck: " + std::to_string(std::lround(100 * f.origin_utilisation))
         + " % busy, the other nodes " + std::to_string(std::lround(100 * f.relay_utilisation))
         + " %; give stage 0 about " + std::to_string(std::lround(100 * (1 - share)))
         + " % fewer layers, or more nodes";
}

} // namespace skippipe::scheduler
