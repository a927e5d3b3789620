// skippipe plan: plans an instance, replans a running schedule, compares the strategies.
#include "runtime/cli.hpp"
#include "runtime/commands/plan_compare.hpp"
#include "runtime/commands/plan_support.hpp"
#include "runtime/gantt.hpp"
#include "scheduler/check.hpp"
#include "scheduler/figures.hpp"
#include "scheduler/instance_json.hpp"
#include "scheduler/planner.hpp"
#include "scheduler/replan.hpp"
#include "scheduler/schedule_json.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <set>

namespace skippipe::runtime {

namespace {

using namespace scheduler;

struct plan_options {
  std::string instance_file, strategy_name = "skippipe", from, out, gantt;
  double time_limit_s = 5;
  std::uint64_t seed = 0;
  unsigned threads = 2;
  bool compare = false, json = false;
};

/// Without names in the old schedule its ids are taken to mean the same nodes.
/// `names`: of the nodes of the running schedule, which is `file`.
replan_request request_for(const std::string& file, const instance& problem, const plan& running,
                           const std::vector<std::string>& names) {
  replan_request request;
  request.running = &running;
  const std::size_t count =
      names.empty() ? std::max(running.order.size(), problem.nodes.size()) : names.size();
  std::set<std::string> different(names.begin(), names.end());
  const bool unique = !names.empty() && different.size() == names.size();
  if (!names.empty() && !unique && count != problem.nodes.size())
    throw command_error(file + ": node_names: expected names that differ, as the instance has "
                        + std::to_string(problem.nodes.size()) + " nodes, the schedule "
                        + std::to_string(count) + ": who is who?");
  for (node_id old = 0; old < count; ++old) {
    node_id id = old < problem.nodes.size() ? old : replan_request::gone;
    if (unique) {
      id = replan_request::gone;
      for (node_id n = 0; n < problem.nodes.size(); ++n)
        if (problem.nodes[n].name == names[old])
          id = n;
    }
    request.new_id.push_back(id);
  }
  if (std::all_of(request.new_id.begin(), request.new_id.end(),
                  [](node_id n) { return n == replan_request::gone; }))
    throw command_error(file + ": node_names: none is of a node of the instance");
  return request;
}

/// Nodes of the instance that the running schedule does not know.
std::vector<node_id> newcomers(const instance& problem, const replan_request& request) {
  std::vector<node_id> result;
  for (node_id n = 0; n < problem.nodes.size(); ++n)
    if (std::find(request.new_id.begin(), request.new_id.end(), n) == request.new_id.end())
      result.push_back(n);
  return result;
}

/// " (NAME to stage S, ...)"; empty where there are none.
std::string placed(const instance& problem, const plan& p, const std::vector<node_id>& nodes) {
  std::string out;
  for (const node_id n : nodes)
    for (stage_id s = 0; s < p.arrangement.size(); ++s)
      if (std::find(p.arrangement[s].begin(), p.arrangement[s].end(), n) != p.arrangement[s].end())
        out +=
            (out.empty() ? " (" : ", ")
            + (problem.nodes[n].name.empty() ? "node " + std::to_string(n) : problem.nodes[n].name)
            + " to stage " + std::to_string(s);
  return out.empty() ? out : out + ")";
}

int run_plan(const plan_options& given) {
  const auto begin = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  if (!given.gantt.empty() && !given.gantt.ends_with(".html") && !given.gantt.ends_with(".svg"))
    throw command_error(
        "--gantt: expected a name ending in .html or .svg, got '" + given.gantt + "'", exit_usage);
  planner_options options;
  bool known = false;
  for (const named_strategy& s : strategies)
    if (given.strategy_name == s.name) {
      options.kind = s.kind;
      known = true;
    }
  if (!known)
    throw command_error("--strategy: unknown strategy '" + given.strategy_name
                            + "', expected full, random, no-collision, cbs or skippipe",
                        exit_usage);
  if (!given.from.empty() && options.kind != strategy::skippipe)
    throw command_error("--strategy: a running schedule is replanned by skippipe only, got '"
                            + given.strategy_name + "'; plan afresh, without --from",
                        exit_usage);
  for (const auto& file : {given.out, given.gantt})
    if (!file.empty())
      expect_writable(file);
  const auto read = load_instance(given.instance_file);
  if (!read.value)
    throw command_error(joined(read.problems));
  const instance& problem = *read.value;
  const double reading = seconds();
  options.seed = given.seed;
  options.threads = given.threads;
  if (given.compare) {
    options.time_limit_s = std::max(0.0, given.time_limit_s - seconds());
    return compare_strategies(problem, options, given.json);
  }
  if (const auto why = find_obstacle(problem, {&options.kind, 1}))
    return report_infeasible(*why, given.json);
  const lower_bounds bounds = bounds_of(problem, options.kind);
  const double bound = bounds.best();
  // Writing takes about as long as reading did.
  options.time_limit_s = std::max(0.0, given.time_limit_s - seconds() - reading);
  replan_report report;
  std::vector<node_id> joined_nodes;
  double running_s = 0;
  plan_result result;
  if (given.from.empty()) {
    result = make_plan(problem, options);
  } else {
    std::vector<std::string> names;
    const auto old = load_running(given.from, names);
    if (!old.value)
      throw command_error(joined(old.problems));
    if (old.value->arrangement.size() != problem.stages)
      throw command_error(given.from + ": the schedule has "
                          + std::to_string(old.value->arrangement.size()) + " stages, the instance "
                          + std::to_string(problem.stages) + "; plan afresh, without --from");
    const auto request = request_for(given.from, problem, *old.value, names);
    joined_nodes = newcomers(problem, request);
    running_s = old.value->makespan_s;
    result = replan(problem, request, options, report);
  }
  if (const auto* why = std::get_if<infeasible>(&result))
    return report_infeasible(*why, given.json);
  const plan& p = std::get<plan>(result);
  const auto wrong = check_plan(problem, p);
  if (!wrong.empty())
    throw command_error("the plan breaks a rule: " + wrong.front());
  if (!given.out.empty())
    write_text(given.out, write_schedule(problem, p));
  if (!given.gantt.empty())
    write_text(given.gantt, given.gantt.ends_with(".svg") ? gantt_svg(problem, p)
                                                          : gantt_page(problem, p, bound));
  const double gap = gap_of(p.makespan_s, bound);
  const auto iteration = iteration_seconds(problem, p);
  const std::string advice = origin_advice(problem, p);
  if (given.json) {
    nlohmann::json line{{"strategy", p.strategy},
                        {"makespan_s", p.makespan_s},
                        {"lower_bound_s", bound},
                        {"gap", gap},
                        {"wall_s", seconds()},
                        {"valid", true},
                        {"moved_nodes", report.moved_nodes.size()}};
    if (!given.from.empty())
      line["kept_paths"] = report.kept_paths.size();
    if (iteration) {
      line["iteration_s"] = *iteration;
      line["iteration_lower_bound_s"] = bounds.iteration_s;
      line["iteration_gap"] = gap_of(*iteration, bounds.iteration_s);
    }
    if (!advice.empty())
      line["advice"] = advice;
    print_json(line);
    return 0;
  }
  std::printf("%s: makespan %.4f s, lower bound %.4f s (gap %.1f %%), planned in %.2f s\n",
              p.strategy.c_str(), p.makespan_s, bound, 100 * gap, seconds());
  if (iteration)
    std::printf(
        "one iteration with reduction and commit: %.4f s, lower bound %.4f s (gap %.1f %%)\n",
        *iteration, bounds.iteration_s, 100 * gap_of(*iteration, bounds.iteration_s));
  if (!given.from.empty()) {
    std::printf("the running schedule: makespan %.4f s\n", running_s);
    std::printf("nodes moved: %zu%s, paths kept: %zu of %zu\n", report.moved_nodes.size(),
                placed(problem, p, report.moved_nodes).c_str(), report.kept_paths.size(),
                p.paths.size());
    if (!joined_nodes.empty())
      std::printf("nodes joined: %zu%s\n", joined_nodes.size(),
                  placed(problem, p, joined_nodes).c_str());
  }
  if (!advice.empty())
    std::printf("%s\n", advice.c_str());
  return 0;
}

} // namespace

void add_plan(CLI::App& app, command_context& context) {
  auto* command = app.add_subcommand("plan", "Plan paths and task order for an instance file");
  auto o = std::make_shared<plan_options>();
  command->add_option("--instance", o->instance_file, "The instance file (JSON)")->required();
  command->add_option("--strategy", o->strategy_name, "full, random, no-collision, cbs or skippipe")
      ->capture_default_str();
  command
      ->add_option("--time-limit", o->time_limit_s,
                   "Seconds that it may take, reading and writing included")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  command->add_option("--seed", o->seed, "Of random choices: same seed, same first plan")
      ->check(at_least(0))
      ->capture_default_str();
  command->add_option("--threads", o->threads, "How many threads search")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_option(
      "--from", o->from,
      "A running schedule: its nodes, told by their names, stay in their stages but for moves\n"
      "that pay, and the search starts from its paths and order");
  command->add_option("--out", o->out, "Where to write the schedule");
  command->add_option("--gantt", o->gantt, "Where to draw it (.html or .svg)");
  command->add_flag("--compare", o->compare, "All strategies in one table")
      ->excludes("--strategy", "--from", "--out", "--gantt");
  command->add_flag("--json", o->json, "One JSON object on stdout");
  command->callback([&context, o] { context.run = [o] { return run_plan(*o); }; });
}

} // namespace skippipe::runtime
