#include "scheduler/check.hpp"

#include "scheduler/path_rules.hpp"
#include "scheduler/simulator.hpp"

#include <algorithm>
#include <cmath>

namespace skippipe::scheduler {

namespace {

std::string number(std::uint64_t value) { return std::to_string(value); }

bool usable(double seconds) { return std::isfinite(seconds) && seconds >= 0; }

std::vector<std::string> check_arrangement(const instance& problem,
                                           const std::vector<std::vector<node_id>>& arrangement) {
  std::vector<std::string> out;
  if (arrangement.size() != problem.stages)
    return {"arrangement: has " + number(arrangement.size()) + " stages, required "
            + number(problem.stages)};
  std::vector<std::uint32_t> uses(problem.nodes.size(), 0);
  for (stage_id s = 0; s < arrangement.size(); ++s) {
    if (arrangement[s].empty())
      out.push_back("arrangement: stage " + number(s) + " has no node");
    if (!problem.stage_sizes.empty() && arrangement[s].size() != problem.stage_sizes[s])
      out.push_back("arrangement: stage " + number(s) + " has " + number(arrangement[s].size())
                    + " nodes, required " + number(problem.stage_sizes[s]));
    for (node_id n : arrangement[s]) {
      if (n >= uses.size())
        out.push_back("arrangement: unknown node " + number(n));
      else if (++uses[n] == 2)
        out.push_back("arrangement: node " + number(n) + " is used twice");
    }
  }
  for (node_id n = 0; n < uses.size(); ++n)
    if (uses[n] == 0)
      out.push_back("arrangement: node " + number(n) + " is not used");
  for (stage_id s = 0; s < problem.arrangement.size(); ++s) {
    auto given = problem.arrangement[s], used = arrangement[s];
    std::sort(given.begin(), given.end());
    std::sort(used.begin(), used.end());
    if (given != used)
      out.push_back("arrangement: stage " + number(s) + " differs from the one given");
  }
  return out;
}

void check_paths(const instance& problem, const plan& p, std::vector<std::string>& out) {
  constexpr stage_id none = ~stage_id{0};
  std::vector<stage_id> stage_of(problem.nodes.size(), none);
  for (stage_id s = 0; s < p.arrangement.size(); ++s)
    for (node_id n : p.arrangement[s])
      stage_of[n] = s;
  route_rules rules = rules_of(problem);
  const bool full = p.strategy == "full";
  if (full)
    rules.path_length = problem.stages;
  const auto origins = static_cast<std::uint32_t>(p.arrangement[0].size());
  const std::uint32_t count = microbatch_count(problem, origins);
  if (p.paths.size() != count)
    out.push_back("paths: there are " + number(p.paths.size()) + ", required " + number(count));
  std::vector<std::uint32_t> visits(problem.stages, 0), sends(problem.nodes.size(), 0);
  for (std::size_t i = 0; i < p.paths.size(); ++i) {
    const path& x = p.paths[i];
    const std::string tag = "microbatch " + number(x.microbatch) + ": ";
    if (x.microbatch != i)
      out.push_back(tag + "stands at place " + number(i) + " of the paths");
    if (x.origin >= stage_of.size() || stage_of[x.origin] != 0)
      out.push_back(tag + "origin " + number(x.origin) + " is not in stage 0");
    else
      ++sends[x.origin];
    route r;
    for (const hop& h : x.hops) {
      r.push_back(h.stage);
      if (h.node >= stage_of.size() || stage_of[h.node] != h.stage)
        out.push_back(tag + "node " + number(h.node) + " does not serve stage " + number(h.stage));
      else
        ++visits[h.stage];
    }
    if (const auto problem_text = route_problem(r, rules))
      out.push_back(tag + *problem_text);
    if (!full && i < problem.routes.size() && r != problem.routes[i])
      out.push_back(tag + "does not follow its given route");
  }
  for (node_id o : p.arrangement[0])
    if (sends[o] < count / origins || sends[o] > (count + origins - 1) / origins)
      out.push_back("origin " + number(o) + " sends " + number(sends[o])
                    + " microbatches, required " + number(count / origins)
                    + (count % origins ? " or one more" : ""));
  if (visits.size() > 1) {
    const auto [least, most] = std::minmax_element(visits.begin() + 1, visits.end());
    if (*most - *least > 1)
      out.push_back("balance: stage " + number(static_cast<std::uint64_t>(least - visits.begin()))
                    + " is visited " + number(*least) + " times, stage "
                    + number(static_cast<std::uint64_t>(most - visits.begin())) + " "
                    + number(*most) + " times");
  }
}

} // namespace

std::uint32_t origin_count(const instance& problem) {
  if (!problem.arrangement.empty())
    return static_cast<std::uint32_t>(problem.arrangement[0].size());
  return problem.stage_sizes.empty() ? 0 : problem.stage_sizes[0];
}

std::uint32_t microbatch_count(const instance& problem, std::uint32_t origins) {
  return problem.routes.empty() ? origins * problem.microbatches_per_origin
                                : static_cast<std::uint32_t>(problem.routes.size());
}

std::vector<std::string> check_instance(const instance& problem) {
  std::vector<std::string> out;
  const std::size_t n = problem.nodes.size();
  if (n == 0)
    out.push_back("nodes: there are none");
  if (problem.stages == 0)
    out.push_back("stages: is 0");
  else if (n < problem.stages)
    out.push_back("nodes: " + number(n) + " nodes cannot serve " + number(problem.stages)
                  + " stages");
  if (problem.link_s.size() != n * n)
    out.push_back("link_s: has " + number(problem.link_s.size()) + " entries, required "
                  + number(n * n));
  if (!std::all_of(problem.link_s.begin(), problem.link_s.end(), usable))
    out.push_back("link_s: a time is negative or not finite");
  if (!problem.node_stage_s.empty() && problem.node_stage_s.size() != n * problem.stages)
    out.push_back("node_stage_s: has " + number(problem.node_stage_s.size()) + " entries, required "
                  + number(n * problem.stages));
  if (!problem.stage_cost.empty() && problem.stage_cost.size() != problem.stages)
    out.push_back("stage_cost: has " + number(problem.stage_cost.size()) + " entries, required "
                  + number(problem.stages));
  if (!problem.stage_sizes.empty() && problem.stage_sizes.size() != problem.stages)
    out.push_back("stage_sizes: has " + number(problem.stage_sizes.size()) + " entries, required "
                  + number(problem.stages));
  if (problem.microbatches_per_origin == 0 && problem.routes.empty())
    out.push_back("microbatches_per_origin: is 0");
  if (!out.empty())
    return out;
  std::uint64_t sum = 0;
  for (std::uint32_t size : problem.stage_sizes)
    sum += size;
  if (!problem.stage_sizes.empty() && sum != n)
    out.push_back("stage_sizes: sum to " + number(sum) + ", there are " + number(n) + " nodes");
  for (stage_id s = 0; s < problem.stage_sizes.size(); ++s)
    if (problem.stage_sizes[s] == 0)
      out.push_back("stage_sizes: stage " + number(s) + " has no node");
  for (node_id i = 0; i < n; ++i) {
    if (problem.nodes[i].memory == 0)
      out.push_back("node " + number(i) + ": memory is 0, a path needs one slot");
    for (stage_id s = 0; s < problem.stages; ++s) {
      const task_costs c = problem.costs(i, s);
      if (!usable(c.forward_s) || !usable(c.backward_s) || !usable(c.loss_s) || c.forward_s == 0
          || c.backward_s == 0) {
        out.push_back("node " + number(i) + ": F and B seconds of stage " + number(s)
                      + " must be positive and finite, L finite");
        break;
      }
    }
  }
  if (!problem.arrangement.empty())
    for (std::string& line : check_arrangement(problem, problem.arrangement))
      out.push_back(std::move(line));
  for (std::size_t i = 0; i < problem.routes.size(); ++i)
    if (const auto text = route_problem(problem.routes[i], rules_of(problem)))
      out.push_back("routes: route of microbatch " + number(i) + " " + *text);
  return out;
}

std::vector<std::string> check_plan(const instance& problem, const plan& p) {
  std::vector<std::string> out = check_arrangement(problem, p.arrangement);
  if (out.empty())
    check_paths(problem, p, out);
  if (!out.empty())
    return out;
  simulation timed = simulate(problem, p.paths, p.order);
  if (timed.violations.empty() && !(std::abs(timed.makespan_s - p.makespan_s) <= 1e-3))
    timed.violations.push_back("makespan: claimed " + std::to_string(p.makespan_s)
                               + " s, simulated " + std::to_string(timed.makespan_s) + " s");
  return timed.violations;
}

} // namespace skippipe::scheduler
