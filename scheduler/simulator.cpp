#include "scheduler/simulator.hpp"

#include <algorithm>
#include <limits>
#include <unordered_map>

namespace skippipe::scheduler {

namespace {

constexpr std::uint32_t nowhere = std::numeric_limits<std::uint32_t>::max();

/// A place in a path: which one, and which step of it.
struct task_ref {
  std::uint32_t path = nowhere;
  std::uint32_t step = 0;
};

std::string kind_letter(task_kind kind) {
  return kind == task_kind::forward ? "F" : kind == task_kind::loss ? "L" : "B";
}

std::uint64_t task_key(microbatch_id mb, task_kind kind) {
  return std::uint64_t{mb} * 4 + static_cast<std::uint64_t>(kind);
}

/// Turns (microbatch, kind) lists into path steps; everything wrong goes to `violations`.
class order_reader {
public:
  order_reader(const instance& problem, const std::vector<path>& paths,
               std::vector<std::string>& violations)
      : paths_(paths), violations_(violations), tasks_(problem.nodes.size()) {
    std::unordered_map<microbatch_id, bool> ids;
    for (std::uint32_t i = 0; i < paths.size(); ++i) {
      const std::string name = "microbatch " + std::to_string(paths[i].microbatch);
      if (!ids.emplace(paths[i].microbatch, true).second)
        violations.push_back(name + ": duplicate id");
      for (std::uint32_t s = 0; s < step_count(paths[i]); ++s) {
        const node_id n = step_node(paths[i], s);
        const auto hops = static_cast<std::uint32_t>(paths[i].hops.size());
        if (n >= problem.nodes.size()) {
          violations.push_back(name + ": unknown node " + std::to_string(n));
          break;
        }
        if (!tasks_[n]
                 .emplace(task_key(paths[i].microbatch, step_kind(hops, s)), task_ref{i, s})
                 .second) {
          violations.push_back(name + ": visits node " + std::to_string(n) + " twice");
          break;
        }
        ++expected_;
      }
    }
  }

  std::vector<std::vector<task_ref>> read(const std::vector<std::vector<planned_task>>& order) {
    std::vector<std::vector<task_ref>> lists(order.size());
    std::uint64_t found = 0;
    for (node_id n = 0; n < order.size(); ++n) {
      for (const planned_task& t : order[n]) {
        const std::string name = "node " + std::to_string(n) + ": " + kind_letter(t.kind)
                                 + " of microbatch " + std::to_string(t.microbatch);
        if (n >= tasks_.size()) {
          violations_.push_back("order of unknown node " + std::to_string(n));
          break;
        }
        const auto it = tasks_[n].find(task_key(t.microbatch, t.kind));
        if (it == tasks_[n].end()) {
          violations_.push_back("order of " + name + " does not belong there");
          continue;
        }
        if (it->second.path == nowhere) {
          violations_.push_back("order of " + name + " is listed twice");
          continue;
        }
        lists[n].push_back(it->second);
        it->second.path = nowhere;
        ++found;
      }
    }
    if (found < expected_)
      violations_.push_back("order: " + std::to_string(expected_ - found) + " tasks are missing");
    return lists;
  }

private:
  const std::vector<path>& paths_;
  std::vector<std::string>& violations_;
  std::vector<std::unordered_map<std::uint64_t, task_ref>> tasks_;
  std::uint64_t expected_ = 0;
};

void check_memory(const instance& problem, const std::vector<std::vector<planned_task>>& order,
                  simulation& result) {
  result.peak.assign(problem.nodes.size(), 0);
  for (node_id n = 0; n < order.size() && n < problem.nodes.size(); ++n) {
    std::int64_t held = 0, peak = 0;
    for (const planned_task& t : order[n]) {
      held += t.kind == task_kind::forward ? 1 : t.kind == task_kind::backward ? -1 : 0;
      peak = std::max(peak, held);
    }
    result.peak[n] = static_cast<std::uint32_t>(peak);
    if (result.peak[n] > problem.nodes[n].memory)
      result.violations.push_back("memory: the order of node " + std::to_string(n) + " holds "
                                  + std::to_string(peak) + " microbatches, it has "
                                  + std::to_string(problem.nodes[n].memory) + " slots");
  }
}

} // namespace

double step_seconds(const instance& problem, const path& p, std::uint32_t step) {
  const auto hops = static_cast<std::uint32_t>(p.hops.size());
  const std::uint32_t h = step_hop(hops, step);
  const task_costs c =
      h == 0 ? problem.costs(p.origin, 0) : problem.costs(p.hops[h - 1].node, p.hops[h - 1].stage);
  const task_kind kind = step_kind(hops, step);
  return kind == task_kind::forward ? c.forward_s
                                    : (kind == task_kind::loss ? c.loss_s : c.backward_s);
}

simulation simulate(const instance& problem, const std::vector<path>& paths,
                    const std::vector<std::vector<planned_task>>& order,
                    const simulate_rules& rules) {
  simulation result;
  std::vector<std::vector<task_ref>> lists =
      order_reader(problem, paths, result.violations).read(order);
  check_memory(problem, order, result);
  for (const path& p : paths)
    for (const hop& h : p.hops)
      if (h.stage >= problem.stages)
        result.violations.push_back("microbatch " + std::to_string(p.microbatch)
                                    + ": unknown stage " + std::to_string(h.stage));
  if (!result.violations.empty())
    return result;
  result.busy_s.assign(problem.nodes.size(), 0);
  for (const path& p : paths) {
    result.start.emplace_back(step_count(p), -1.0);
    result.end.emplace_back(step_count(p), -1.0);
  }
  std::vector<std::size_t> at(lists.size(), 0);
  std::vector<double> free(lists.size(), 0.0), interface_free(lists.size(), 0.0);
  std::vector<std::vector<double>> arrivals;
  for (const path& p : paths)
    arrivals.emplace_back(step_count(p), -1.0);
  std::vector<node_id> wake;
  for (node_id n = 0; n < lists.size(); ++n)
    wake.push_back(n);
  while (!wake.empty()) { // Runs a node as far as its inputs allow, then those it sent to.
    const node_id n = wake.back();
    wake.pop_back();
    for (; at[n] < lists[n].size(); ++at[n]) {
      const task_ref t = lists[n][at[n]];
      const path& p = paths[t.path];
      const double arrival = t.step == 0 ? 0 : arrivals[t.path][t.step];
      if (arrival < 0)
        break;
      const double begin = std::max(arrival, free[n]);
      const double seconds = step_seconds(problem, p, t.step);
      result.start[t.path][t.step] = begin;
      result.end[t.path][t.step] = free[n] = begin + seconds;
      result.busy_s[n] += seconds;
      if (t.step + 1 == step_count(p))
        continue;
      const node_id to = step_node(p, t.step + 1);
      double leaves = free[n];
      const double link = problem.link(n, to);
      if (rules.contention && to != n) {
        leaves = std::max(leaves, interface_free[n]);
        const double latency =
            problem.latency_s.empty() ? 0 : problem.latency_s[n * problem.nodes.size() + to];
        interface_free[n] = leaves + std::max(0.0, link - latency);
      }
      arrivals[t.path][t.step + 1] = leaves + link;
      wake.push_back(to);
    }
    result.makespan_s = std::max(result.makespan_s, free[n]);
  }
  for (node_id n = 0; n < lists.size(); ++n) {
    if (at[n] == lists[n].size())
      continue;
    const planned_task& t = order[n][at[n]];
    result.violations.push_back("deadlock: node " + std::to_string(n) + " waits for "
                                + kind_letter(t.kind) + " of microbatch "
                                + std::to_string(t.microbatch));
    break;
  }
  if (!result.violations.empty()) {
    result.makespan_s = 0;
    result.start.clear();
    result.end.clear();
  }
  return result;
}

} // namespace skippipe::scheduler
