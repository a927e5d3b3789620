#include "scheduler/kept_paths.hpp"

#include "scheduler/arrangement.hpp"
#include "scheduler/check.hpp"
#include "scheduler/path_rules.hpp"
#include "scheduler/strategies.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace skippipe::scheduler {

namespace {
constexpr stage_id no_stage = ~stage_id{0};
} // namespace

std::vector<std::vector<node_id>> keep_arrangement(const instance& problem,
                                                   const replan_request& request) {
  if (!problem.arrangement.empty())
    return problem.arrangement;
  const auto nodes = static_cast<node_id>(problem.nodes.size());
  std::vector<stage_id> stage(nodes, no_stage);
  for (stage_id s = 0; s < request.running->arrangement.size() && s < problem.stages; ++s)
    for (const node_id old : request.running->arrangement[s])
      if (const node_id n = request.now(old, nodes); n != replan_request::gone)
        stage[n] = s;
  std::vector<std::vector<node_id>> result(problem.stages);
  std::vector<node_id> spare;
  for (node_id n = 0; n < nodes; ++n) {
    if (stage[n] == no_stage)
      spare.push_back(n);
    else
      result[stage[n]].push_back(n);
  }
  std::vector<std::uint32_t> sizes = problem.stage_sizes;
  if (sizes.empty()) {
    // Free sizes: nobody moves while every stage still has a node; newcomers go where fewest are.
    for (const auto& members : result)
      sizes.push_back(std::max<std::uint32_t>(1, static_cast<std::uint32_t>(members.size())));
    std::uint32_t sum = 0;
    for (const std::uint32_t size : sizes)
      sum += size;
    for (; sum < nodes; ++sum)
      ++*std::min_element(sizes.begin() + (problem.stages > 1 ? 1 : 0), sizes.end());
    for (; sum > nodes; --sum)
      --*std::max_element(sizes.begin(), sizes.end());
  }
  for (stage_id s = 0; s < problem.stages; ++s)
    while (result[s].size() > sizes[s]) {
      spare.push_back(result[s].back());
      result[s].pop_back();
    }
  for (stage_id s = 0; s < problem.stages; ++s)
    while (result[s].size() < sizes[s] && !spare.empty()) {
      result[s].push_back(spare.back());
      spare.pop_back();
    }
  return result;
}

bool rebalance(const instance& problem, const std::vector<std::vector<node_id>>& arrangement,
               std::vector<kept_path>& paths) {
  std::vector<std::int64_t> visits(problem.stages, 0);
  for (const kept_path& p : paths)
    for (const hop& h : p.way.hops)
      ++visits[h.stage];
  const route_rules rules = rules_of(problem);
  for (std::size_t round = 0; round < paths.size() * problem.path_length + 1; ++round) {
    std::vector<stage_id> by_visits;
    for (stage_id s = 1; s < problem.stages; ++s)
      by_visits.push_back(s);
    std::sort(by_visits.begin(), by_visits.end(),
              [&](stage_id a, stage_id b) { return visits[a] > visits[b]; });
    if (by_visits.empty() || visits[by_visits.front()] - visits[by_visits.back()] <= 1)
      return true;
    bool found = false;
    for (std::size_t i = 0; i < by_visits.size() && !found; ++i)
      for (std::size_t j = by_visits.size(); j > i + 1 && !found; --j) {
        const stage_id from = by_visits[i], to = by_visits[j - 1];
        if (visits[from] - visits[to] < 2)
          continue;
        for (kept_path& p : paths) {
          if (p.frozen)
            continue;
          route r;
          for (const hop& h : p.way.hops)
            r.push_back(h.stage);
          const auto at = std::find(r.begin(), r.end(), from);
          if (at == r.end())
            continue;
          *at = to;
          if (route_problem(r, rules))
            continue;
          p.way.hops[static_cast<std::size_t>(at - r.begin())] = {to, arrangement[to].front()};
          p.broken = p.changed = found = true;
          --visits[from];
          ++visits[to];
          break;
        }
      }
    if (!found)
      return false;
  }
  return false;
}

bool share_out(const instance& problem, const std::vector<std::vector<node_id>>& arrangement,
               std::vector<kept_path>& paths, random_source& random) {
  auto origins = arrangement[0];
  const auto count = microbatch_count(problem, static_cast<std::uint32_t>(origins.size()));
  // Who has more than others now takes what is left over.
  std::map<node_id, std::uint32_t> now;
  for (const kept_path& p : paths)
    ++now[p.way.origin];
  std::stable_sort(origins.begin(), origins.end(),
                   [&](node_id a, node_id b) { return now[a] > now[b]; });
  std::map<node_id, std::int64_t> missing;
  for (const node_id o : origins_in_turn(origins, count))
    ++missing[o];
  // Those in flight come first, so that they are the last to be given to another origin.
  std::stable_sort(paths.begin(), paths.end(),
                   [](const kept_path& a, const kept_path& b) { return a.frozen > b.frozen; });
  std::vector<kept_path> kept, homeless;
  for (kept_path& p : paths) {
    const auto it = missing.find(p.way.origin);
    if (it != missing.end() && it->second > 0) {
      --it->second;
      kept.push_back(std::move(p));
    } else {
      p.broken = p.changed = true;
      p.frozen = false;
      homeless.push_back(std::move(p));
    }
  }
  std::optional<std::vector<route>> spare;
  for (auto& [origin, number] : missing)
    for (; number > 0; --number) {
      kept_path p;
      if (!homeless.empty()) {
        p = std::move(homeless.back());
        homeless.pop_back();
      } else {
        if (!spare || spare->empty())
          spare = balanced_routes(rules_of(problem), count, random);
        if (!spare)
          return false;
        for (const stage_id s : spare->back())
          p.way.hops.push_back({s, arrangement[s].front()});
        spare->pop_back();
        p.start_s = 1e18;
      }
      p.way.origin = origin;
      p.broken = p.changed = true;
      kept.push_back(std::move(p));
    }
  paths = std::move(kept);
  return true;
}

bool follow_routes(const instance& problem, const std::vector<kept_path>& paths) {
  std::set<microbatch_id> seen;
  return paths.size() == problem.routes.size()
         && std::all_of(paths.begin(), paths.end(), [&](const kept_path& p) {
              const microbatch_id m = p.way.microbatch;
              return m < problem.routes.size() && seen.insert(m).second
                     && std::equal(p.way.hops.begin(), p.way.hops.end(), problem.routes[m].begin(),
                                   problem.routes[m].end(),
                                   [](const hop& h, stage_id s) { return h.stage == s; });
            });
}

std::optional<infeasible> check_frozen(const instance& problem,
                                       const std::vector<kept_path>& paths) {
  std::vector<std::uint32_t> held(problem.nodes.size(), 0);
  for (const kept_path& p : paths) {
    if (!p.frozen)
      continue;
    ++held[p.way.origin];
    for (const hop& h : p.way.hops)
      ++held[h.node];
  }
  for (node_id o = 0; o < held.size(); ++o) {
    // Only origins hold a microbatch for as long as it is in flight.
    bool origin = false;
    for (const kept_path& p : paths)
      origin |= p.frozen && p.way.origin == o;
    if (origin && held[o] > problem.nodes[o].memory)
      return infeasible{"node " + std::to_string(o) + " has " + std::to_string(held[o])
                            + " microbatches in flight and memory for "
                            + std::to_string(problem.nodes[o].memory),
                        "memory = " + std::to_string(held[o])};
  }
  return std::nullopt;
}

} // namespace skippipe::scheduler
