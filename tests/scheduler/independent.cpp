#include "independent.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace skippipe::scheduler::testing {

namespace {

/// The tasks of a path one after the other, as the words have it: F at the origin, F at each hop, L at the
/// origin, B at the hops in reverse, B at the origin.
std::vector<timed_task> tasks_of(const instance& problem, const path& p, std::size_t index) {
  std::vector<timed_task> tasks;
  const auto add = [&](node_id n, stage_id s, task_kind kind) {
    const task_costs c = problem.costs(n, s);
    timed_task t;
    t.path = index;
    t.node = n;
    t.kind = kind;
    t.end = kind == task_kind::forward ? c.forward_s
            : kind == task_kind::loss  ? c.loss_s
                                       : c.backward_s;
    tasks.push_back(t); // The end holds the duration until the task is timed.
  };
  add(p.origin, 0, task_kind::forward);
  for (const hop& h : p.hops)
    add(h.node, h.stage, task_kind::forward);
  add(p.origin, 0, task_kind::loss);
  for (auto h = p.hops.rbegin(); h != p.hops.rend(); ++h)
    add(h->node, h->stage, task_kind::backward);
  add(p.origin, 0, task_kind::backward);
  return tasks;
}

} // namespace

std::optional<std::vector<timed_task>> slow_simulation(const instance& problem, const plan& p) {
  std::vector<timed_task> tasks;
  std::vector<double> seconds;
  std::vector<bool> first; // Of its path.
  std::map<std::tuple<node_id, microbatch_id, task_kind>, std::size_t> at;
  for (std::size_t i = 0; i < p.paths.size(); ++i)
    for (const timed_task& t : tasks_of(problem, p.paths[i], i)) {
      at[{t.node, p.paths[i].microbatch, t.kind}] = tasks.size();
      first.push_back(tasks.empty() || tasks.back().path != i);
      seconds.push_back(t.end);
      tasks.push_back(t);
    }
  // What must have ended, and how long before: the step before, the task before on the node, and for a
  // forward the backward that frees the slot it needs.
  std::vector<std::vector<std::pair<std::size_t, double>>> after(tasks.size());
  for (std::size_t t = 0; t < tasks.size(); ++t)
    if (!first[t])
      after[t].push_back({t - 1, problem.link(tasks[t - 1].node, tasks[t].node)});
  for (node_id n = 0; n < p.order.size(); ++n) {
    std::vector<std::size_t> backwards;
    for (const planned_task& x : p.order[n])
      if (x.kind == task_kind::backward)
        backwards.push_back(at.at({n, x.microbatch, x.kind}));
    std::size_t forwards = 0;
    const planned_task* before = nullptr;
    for (const planned_task& x : p.order[n]) {
      const std::size_t t = at.at({n, x.microbatch, x.kind});
      if (before != nullptr)
        after[t].push_back({at.at({n, before->microbatch, before->kind}), 0});
      before = &x;
      if (x.kind != task_kind::forward)
        continue;
      if (forwards >= problem.nodes[n].memory)
        after[t].push_back({backwards[forwards - problem.nodes[n].memory], 0});
      ++forwards;
    }
  }
  for (std::size_t t = 0; t < tasks.size(); ++t)
    tasks[t].end = seconds[t];
  // Without a circle every round settles one more task of each chain.
  for (std::size_t round = 0; round <= tasks.size(); ++round) {
    bool changed = false;
    for (std::size_t t = 0; t < tasks.size(); ++t) {
      double start = tasks[t].start;
      for (const auto& [other, link] : after[t])
        start = std::max(start, tasks[other].end + link);
      changed = changed || start > tasks[t].start;
      tasks[t].start = start;
      tasks[t].end = start + seconds[t];
    }
    if (!changed)
      return tasks;
  }
  return std::nullopt;
}

std::string broken_path_rule(const instance& problem, const plan& p) {
  std::map<node_id, stage_id> serves;
  for (stage_id s = 0; s < p.arrangement.size(); ++s)
    for (const node_id n : p.arrangement[s])
      if (!serves.emplace(n, s).second)
        return "a node serves two stages";
  if (serves.size() != problem.nodes.size() || p.arrangement.size() != problem.stages)
    return "the arrangement leaves a node or a stage out";
  const std::size_t length = p.strategy == "full" ? problem.stages : problem.path_length;
  std::map<stage_id, int> visits;
  std::map<node_id, std::uint32_t> sent;
  for (stage_id s = 1; s < problem.stages; ++s)
    visits[s] = 0;
  for (const path& x : p.paths) {
    ++sent[x.origin];
    if (serves.at(x.origin) != 0)
      return "a path begins at a node of another stage than 0";
    if (x.hops.size() + 1 != length)
      return "a path has another length";
    std::set<stage_id> seen{0};
    std::vector<std::uint32_t> behind; // Distances of the swaps.
    for (const hop& h : x.hops) {
      const stage_id furthest = *seen.rbegin();
      if (serves.at(h.node) != h.stage || !seen.insert(h.stage).second)
        return "a hop is at another stage's node, or a stage is visited twice";
      if (h.stage < furthest)
        behind.push_back(furthest - h.stage);
      const std::uint32_t jump = h.stage < furthest ? furthest - h.stage : h.stage - furthest;
      if (jump > problem.limits.max_jump)
        return "a jump is too far";
      ++visits[h.stage];
    }
    std::uint32_t sum = 0;
    for (const std::uint32_t d : behind) {
      sum += d;
      if (d > problem.limits.max_swap_distance)
        return "a swap is too far";
    }
    if (behind.size() > problem.limits.max_swaps || sum > problem.limits.max_total_swap_distance)
      return "too many swaps";
  }
  if (problem.routes.empty()) {
    std::uint32_t sum = 0;
    for (const node_id o : p.arrangement[0]) {
      sum += sent[o];
      if (problem.microbatches == 0 && sent[o] != problem.microbatches_per_origin)
        return "an origin sends another number of microbatches";
      for (const node_id other : p.arrangement[0])
        if (sent[o] > sent[other] + 1)
          return "an origin sends more microbatches than another";
    }
    if (problem.microbatches != 0 && sum != problem.microbatches)
      return "there is another number of microbatches";
  }
  for (const auto& [s, count] : visits)
    for (const auto& [other, least] : visits)
      if (count > least + 1)
        return "stage " + std::to_string(s) + " is visited more than stage "
               + std::to_string(other);
  return {};
}

std::string broken_rule(const instance& problem, const plan& p,
                        const std::vector<timed_task>& times) {
  if (std::string rule = broken_path_rule(problem, p); !rule.empty())
    return rule;
  // R4 by the clock: what has begun its forward and not ended its backward holds a slot.
  std::map<node_id, std::vector<std::pair<double, int>>> changes;
  std::map<node_id, std::vector<std::pair<double, double>>> busy;
  for (const timed_task& t : times) {
    busy[t.node].push_back({t.start, t.end});
    if (t.kind == task_kind::forward)
      changes[t.node].push_back({t.start, 1});
    else if (t.kind == task_kind::backward)
      changes[t.node].push_back({t.end, -1});
  }
  for (auto& [n, list] : changes) {
    std::sort(list.begin(), list.end()); // A slot that is freed can be taken at the same moment.
    int held = 0;
    for (const auto& [time, change] : list) {
      held += change;
      if (held > int(problem.nodes[n].memory))
        return "node " + std::to_string(n) + " holds more microbatches than it has slots";
    }
  }
  for (auto& [n, list] : busy) {
    std::sort(list.begin(), list.end());
    for (std::size_t i = 1; i < list.size(); ++i)
      if (list[i].first < list[i - 1].second)
        return "node " + std::to_string(n) + " runs two tasks at once";
  }
  return {};
}

} // namespace skippipe::scheduler::testing
