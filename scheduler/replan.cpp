#include "scheduler/replan.hpp"

#include "scheduler/arrangement.hpp"
#include "scheduler/check.hpp"
#include "scheduler/path_rules.hpp"
#include "scheduler/repair.hpp"
#include "scheduler/search.hpp"
#include "scheduler/simulator.hpp"
#include "scheduler/strategies.hpp"
#include "scheduler/timetable.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace skippipe::scheduler {

namespace {

constexpr stage_id no_stage = ~stage_id{0};

/// A path of the running plan under the new ids; nodes that are gone are marked.
struct kept_path {
  path way;
  double start_s = 0; ///< In the running plan.
  bool frozen = false, broken = false, changed = false;
};

/// Stage of every node: as it was where it still fits, the rest filled where nodes are missing.
std::vector<std::vector<node_id>> keep_arrangement(const instance& problem,
                                                   const replan_request& request) {
  if (!problem.arrangement.empty())
    return problem.arrangement;
  const auto nodes = static_cast<node_id>(problem.nodes.size());
  std::vector<stage_id> stage(nodes, no_stage);
  for (stage_id s = 0; s < request.running->arrangement.size() && s < problem.stages; ++s)
    for (const node_id old : request.running->arrangement[s])
      if (old < request.new_id.size() && request.new_id[old] < nodes)
        stage[request.new_id[old]] = s;
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

/// Exchanges stages in paths that may change until stages 1.. are visited equally often (R3).
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

/// New ids 0..M-1 and a share of the microbatches for every origin; drops and adds as needed.
bool share_out(const instance& problem, const std::vector<std::vector<node_id>>& arrangement,
               std::vector<kept_path>& paths, random_source& random) {
  const auto& origins = arrangement[0];
  const auto count = microbatch_count(problem, static_cast<std::uint32_t>(origins.size()));
  const auto shares = origins_in_turn(origins, count);
  std::map<node_id, std::int64_t> missing;
  for (const node_id o : shares)
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

} // namespace

plan_result replan(const instance& problem, const replan_request& request,
                   const planner_options& options, replan_report& report) {
  const auto begin = std::chrono::steady_clock::now();
  report = {};
  // Nothing can be kept: what is in flight is lost, too.
  const auto afresh = [&] {
    report.kept_paths.clear();
    report.lost = request.in_flight;
    return make_plan(problem, options);
  };
  if (const auto wrong = check_instance(problem); !wrong.empty())
    return infeasible{wrong.front(), "correct the instance"};
  const plan& old = *request.running;
  const auto nodes = static_cast<node_id>(problem.nodes.size());
  const auto arrangement = keep_arrangement(problem, request);
  std::vector<stage_id> stage_of(nodes, 0);
  for (stage_id s = 0; s < arrangement.size(); ++s)
    for (const node_id n : arrangement[s])
      stage_of[n] = s;
  for (stage_id s = 0; s < old.arrangement.size(); ++s)
    for (const node_id n : old.arrangement[s])
      if (n < request.new_id.size() && request.new_id[n] < nodes
          && stage_of[request.new_id[n]] != s)
        report.moved_nodes.push_back(request.new_id[n]);
  const std::set<microbatch_id> in_flight(request.in_flight.begin(), request.in_flight.end());
  const auto moved_to = [&](node_id n) {
    return n < request.new_id.size() && request.new_id[n] < nodes ? request.new_id[n]
                                                                  : replan_request::gone;
  };
  // The place of a microbatch in its origin's order stands for its start.
  std::map<microbatch_id, double> start;
  for (const auto& tasks : old.order)
    for (std::size_t i = 0; i < tasks.size(); ++i)
      if (tasks[i].kind == task_kind::loss)
        start[tasks[i].microbatch] = static_cast<double>(i);
  std::vector<kept_path> paths;
  for (const path& p : old.paths) {
    if (p.hops.size() + 1 != problem.path_length)
      return afresh();
    kept_path kept{p, start[p.microbatch], in_flight.count(p.microbatch) > 0, false, false};
    kept.way.origin = moved_to(p.origin);
    bool gone = kept.way.origin == replan_request::gone || stage_of[kept.way.origin] != 0;
    for (hop& h : kept.way.hops) {
      const node_id n = moved_to(h.node);
      if (n == replan_request::gone || stage_of[n] != h.stage) {
        gone = true;
        h.node = arrangement[h.stage].front();
      } else {
        h.node = n;
      }
    }
    if (gone && kept.frozen)
      report.lost.push_back(p.microbatch);
    kept.frozen &= !gone;
    kept.broken = kept.changed = gone;
    paths.push_back(std::move(kept));
  }
  random_source random(options.seed);
  if (!problem.routes.empty() || !share_out(problem, arrangement, paths, random)
      || !rebalance(problem, arrangement, paths))
    return afresh();
  if (auto conflict = check_frozen(problem, paths))
    return *conflict;
  // Whole paths keep their order on every node; the others go into the gaps that this leaves.
  std::vector<path> whole;
  std::set<microbatch_id> whole_ids;
  for (const kept_path& p : paths)
    if (!p.broken) {
      whole.push_back(p.way);
      whole_ids.insert(p.way.microbatch);
    }
  std::vector<std::vector<planned_task>> order(nodes);
  for (node_id n = 0; n < old.order.size(); ++n)
    if (const node_id to = moved_to(n); to != replan_request::gone)
      for (const planned_task& t : old.order[n])
        if (whole_ids.count(t.microbatch))
          order[to].push_back(t);
  const simulation timed = simulate(problem, whole, order);
  std::map<microbatch_id, placement> times;
  for (std::size_t i = 0; i < timed.end.size(); ++i)
    times[whole[i].microbatch] = {timed.start[i], timed.end[i]};
  std::stable_sort(paths.begin(), paths.end(), [](const kept_path& a, const kept_path& b) {
    return a.broken != b.broken ? a.broken < b.broken : a.start_s < b.start_s;
  });
  timetable table(problem);
  std::vector<path> ways;
  std::vector<std::uint8_t> frozen, open;
  const auto running = running_times(problem, old, request.new_id);
  std::map<microbatch_id, std::size_t> place;
  for (std::size_t i = 0; i < running.size(); ++i)
    place[old.paths[i].microbatch] = i;
  std::vector<std::vector<double>> wanted;
  for (kept_path& p : paths) {
    if (const auto at = place.find(p.way.microbatch); at != place.end() && p.start_s < 1e18)
      wanted.push_back(running[at->second]);
    open.push_back(p.broken);
    const auto id = static_cast<microbatch_id>(ways.size());
    const auto known = p.broken ? times.end() : times.find(p.way.microbatch);
    if (p.broken) {
      route r;
      for (const hop& h : p.way.hops)
        r.push_back(h.stage);
      p.way = table.choose_nodes(id, p.way.origin, r, arrangement);
    }
    p.way.microbatch = id;
    if (!p.changed)
      report.kept_paths.push_back(id);
    table.insert(p.way, known == times.end() ? table.fit(p.way) : known->second);
    ways.push_back(p.way);
    frozen.push_back(p.frozen);
  }
  plan first = finish_plan(problem, "skippipe", arrangement, std::move(ways), table.order());
  if (wanted.size() == first.paths.size())
    first = keep_order(problem, first, wanted, open,
                       begin
                           + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                               std::chrono::duration<double>(0.4 * options.time_limit_s)));
  search_limits limits;
  const std::chrono::duration<double> used = std::chrono::steady_clock::now() - begin;
  limits.seconds = std::max(1e-3, options.time_limit_s - used.count());
  limits.deadline = std::chrono::steady_clock::now()
                    + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                        std::chrono::duration<double>(limits.seconds));
  limits.max_iterations = options.max_iterations;
  limits.heat = 0.1;
  limits.frozen = frozen;
  plan best = search(problem, options.seed, true, false).improve(first, limits);
  std::erase_if(report.kept_paths,
                [&](microbatch_id mb) { return !(best.paths[mb] == first.paths[mb]); });
  return best;
}

} // namespace skippipe::scheduler
