#include "scheduler/check.hpp"

#include "scheduler/path_rules.hpp"
#include "scheduler/simulator.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

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

std::uint64_t sum_of(const std::vector<std::uint32_t>& sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
}

bool sizes_fit(const instance& problem) {
  return problem.stage_sizes.empty() || sum_of(problem.stage_sizes) == problem.nodes.size();
}

/// The given sizes with as few changes as use every node: the largest give way, the smallest grow.
std::vector<std::uint32_t> fitting_sizes(const instance& problem) {
  auto sizes = problem.stage_sizes;
  const std::uint64_t nodes = problem.nodes.size();
  if (sum_of(sizes) > nodes) {
    const auto capped = [&](std::uint32_t most) {
      auto result = problem.stage_sizes;
      for (std::uint32_t& size : result)
        size = std::min(size, most);
      return result;
    };
    std::uint32_t most = 1, too_many = *std::max_element(sizes.begin(), sizes.end());
    while (too_many - most > 1) {
      const std::uint32_t middle = most + (too_many - most) / 2;
      (sum_of(capped(middle)) > nodes ? too_many : most) = middle;
    }
    sizes = capped(most);
  }
  for (std::uint64_t sum = sum_of(sizes); sum < nodes; ++sum)
    ++*std::min_element(sizes.begin(), sizes.end());
  return sizes;
}

std::string text_of(const std::vector<std::uint32_t>& sizes) {
  std::string text = "[";
  for (const std::uint32_t size : sizes)
    text += (text.size() > 1 ? "," : "") + number(size);
  return text + "]";
}

infeasible too_few_nodes(const instance& problem) {
  const auto n = static_cast<std::uint32_t>(problem.nodes.size());
  const bool sized = !problem.stage_sizes.empty();
  return {"nodes: " + number(n) + " nodes cannot serve " + number(problem.stages) + " stages",
          "stages = " + number(n)
              + (sized ? ", stage_sizes = " + text_of(std::vector<std::uint32_t>(n, 1)) : ""),
          [n, sized](instance& x) {
            x.stages = n;
            x.stage_sizes.assign(sized ? n : 0, 1);
            for (auto* per_stage : {&x.stage_cost, &x.sync_bytes})
              per_stage->resize(per_stage->empty() ? 0 : n);
            // Of stages that are no more.
            x.node_stage_s.clear();
            x.arrangement.clear();
            x.routes.clear();
          }};
}

infeasible misfitting_sizes(const instance& problem) {
  const auto sizes = fitting_sizes(problem);
  return {"stage_sizes: sum to " + number(sum_of(problem.stage_sizes)) + ", there are "
              + number(problem.nodes.size()) + " nodes",
          "stage_sizes = " + text_of(sizes), [sizes](instance& x) { x.stage_sizes = sizes; }};
}

/// One for each node without memory.
void add_memoryless(const instance& problem, std::vector<infeasible>& out) {
  std::vector<node_id> which;
  for (node_id i = 0; i < problem.nodes.size(); ++i)
    if (problem.nodes[i].memory == 0)
      which.push_back(i);
  constexpr std::size_t most_named = 8;
  std::string nearest = "memory = 1 at node" + std::string(which.size() > 1 ? "s " : " ");
  for (std::size_t i = 0; i < which.size() && i < most_named; ++i)
    nearest += (i > 0 ? "," : "") + number(which[i]);
  if (which.size() > most_named)
    nearest += " and " + number(which.size() - most_named) + " more";
  for (const node_id i : which)
    out.push_back(
        {"node " + number(i) + ": memory is 0, a path needs one slot", nearest, [](instance& x) {
           for (node_spec& node : x.nodes)
             node.memory = std::max(node.memory, 1U);
         }});
}

} // namespace

std::uint32_t origin_count(const instance& problem) {
  if (!problem.arrangement.empty())
    return static_cast<std::uint32_t>(problem.arrangement[0].size());
  return problem.stage_sizes.empty() ? 0 : problem.stage_sizes[0];
}

std::uint32_t microbatch_count(const instance& problem, std::uint32_t origins) {
  if (!problem.routes.empty())
    return static_cast<std::uint32_t>(problem.routes.size());
  return problem.microbatches != 0 ? problem.microbatches
                                   : origins * problem.microbatches_per_origin;
}

std::vector<std::string> check_numbers(const instance& problem) {
  std::vector<std::string> out;
  const std::size_t n = problem.nodes.size();
  if (n == 0)
    out.push_back("nodes: there are none");
  if (problem.stages == 0)
    out.push_back("stages: is 0");
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
  if (problem.microbatches_per_origin == 0 && problem.microbatches == 0 && problem.routes.empty())
    out.push_back("microbatches_per_origin: is 0");
  if (!out.empty())
    return out;
  for (stage_id s = 0; s < problem.stage_sizes.size(); ++s)
    if (problem.stage_sizes[s] == 0)
      out.push_back("stage_sizes: stage " + number(s) + " has no node");
  for (node_id i = 0; i < n; ++i) {
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
  if (!problem.arrangement.empty() && sizes_fit(problem))
    for (std::string& line : check_arrangement(problem, problem.arrangement))
      out.push_back(std::move(line));
  for (std::size_t i = 0; i < problem.routes.size(); ++i)
    if (const auto text = route_problem(problem.routes[i], rules_of(problem)))
      out.push_back("routes: route of microbatch " + number(i) + " " + *text);
  return out;
}

std::vector<infeasible> check_resources(const instance& problem) {
  std::vector<infeasible> out;
  if (problem.nodes.size() < problem.stages)
    out.push_back(too_few_nodes(problem));
  else if (!sizes_fit(problem))
    out.push_back(misfitting_sizes(problem));
  add_memoryless(problem, out);
  return out;
}

std::vector<std::string> check_instance(const instance& problem) {
  auto out = check_numbers(problem);
  if (out.empty())
    for (infeasible& shortage : check_resources(problem))
      out.push_back(std::move(shortage.reason));
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
