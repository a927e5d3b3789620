#include "scheduler/arrangement_estimate.hpp"

#include "scheduler/bounds.hpp"
#include "scheduler/check.hpp"
#include "scheduler/reduction.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace skippipe::scheduler {

namespace {

/// exp(-x) for x >= 0, within two percent: choices need no more.
double falling(double x) {
  if (x > 12)
    return 0;
  double y = 1 + x / 16;
  y *= y;
  y *= y;
  y *= y;
  return 1 / (y * y);
}

} // namespace

arrangement_estimate::arrangement_estimate(const instance& problem)
    : problem_(problem), able_(problem.nodes.size()), cost_(problem.nodes.size()),
      reduces_(reduces(problem)) {
  const std::size_t n = problem.nodes.size();
  round_trip_.resize(n * n);
  std::vector<double> ways;
  for (node_id a = 0; a < n; ++a)
    for (node_id b = 0; b < n; ++b) {
      round_trip_[a * n + b] = problem.link(a, b) + problem.link(b, a);
      if (a < b)
        ways.push_back(round_trip_[a * n + b]);
    }
  if (problem.stages > 1)
    skip_ = double(problem.stages - problem.path_length) / double(problem.stages - 1);
  if (!ways.empty()) {
    const auto middle = ways.begin() + static_cast<std::ptrdiff_t>(ways.size() / 2);
    std::nth_element(ways.begin(), middle, ways.end());
    softness_ = std::max(1e-9, 0.25 * *middle);
  }
}

/// Mean seconds from a task's end at `n` in stage `s` until its gradient is back there.
double arrangement_estimate::onward(node_id n, stage_id s,
                                    const std::vector<std::vector<node_id>>& arrangement) {
  const double* const way = &round_trip_[n * problem_.nodes.size()];
  const auto choose = [&](const std::vector<node_id>& nodes, bool home) {
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const node_id m = nodes[i];
      cost_[i] = way[m] + (home ? problem_.costs(m, 0).loss_s : able_[m].hold);
      least = std::min(least, cost_[i]);
    }
    double weights = 0, sum = 0;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const double w = (home ? 1 : able_[nodes[i]].rate) * falling((cost_[i] - least) / softness_);
      weights += w;
      sum += w * cost_[i];
    }
    return sum / weights;
  };
  double chance = 1, mean = 0;
  for (stage_id t = s + 1; t < problem_.stages && chance > 0.02; ++t) {
    mean += chance * (1 - skip_) * choose(arrangement[t], false);
    chance *= skip_;
  }
  // The gradient of the loss comes back from the origin at once.
  return mean + chance * choose(arrangement[0], true);
}

double arrangement_estimate::operator()(const std::vector<std::vector<node_id>>& arrangement) {
  const std::uint32_t origins = static_cast<std::uint32_t>(arrangement[0].size());
  const std::uint32_t count = microbatch_count(problem_, origins);
  std::vector<double> mean_hold(problem_.stages, 0), rates(problem_.stages, 0);
  for (stage_id s = problem_.stages; s-- > 1;) {
    for (const node_id n : arrangement[s]) {
      const task_costs c = problem_.costs(n, s);
      auto& a = able_[n];
      a.hold = c.forward_s + c.backward_s + onward(n, s, arrangement);
      a.rate = std::min(1 / (c.forward_s + c.backward_s), problem_.nodes[n].memory / a.hold);
      rates[s] += a.rate;
      mean_hold[s] += a.rate * a.hold;
    }
    mean_hold[s] /= rates[s];
  }
  constexpr double power = 8;
  double mean_round = 0, total = 0;
  const std::uint32_t share = (count + origins - 1) / origins;
  for (const node_id o : arrangement[0]) {
    const task_costs c = problem_.costs(o, 0);
    const double round = c.forward_s + c.backward_s + onward(o, 0, arrangement);
    mean_round += round / origins;
    total +=
        std::pow(origin_slots_bound(share, problem_.nodes[o].memory, c, round), power) / origins;
  }
  // A stage reduces its gradients while the last ones still travel home from it.
  const auto after = [&](stage_id s) {
    return reduces_ ? 0.5 * reduction_seconds(problem_, s, arrangement[s])
                          + 0.5 * mean_reduction_seconds(problem_, s, arrangement[s])
                    : 0.0;
  };
  if (reduces_)
    total = std::pow(std::pow(total, 1 / power) + after(0), power);
  if (problem_.stages < 2)
    return std::pow(total, 1 / power);
  const double visits = double(count) * (problem_.path_length - 1) / (problem_.stages - 1);
  double stages = 0, latest = 0;
  for (stage_id s = 1; s < problem_.stages; ++s) {
    const double home = (mean_round - mean_hold[s]) / 2, reduction = after(s);
    stages += std::pow(home + visits / rates[s] + std::max(home, reduction), power);
    if (reduction > home) // Work cannot make up for it: one such stage holds up all.
      latest = std::max(latest, home + visits / rates[s] + reduction);
  }
  return std::max(latest, std::pow(total + stages / (problem_.stages - 1), 1 / power));
}

} // namespace skippipe::scheduler
