// skippipe simulate: checks and times a schedule.
#include "runtime/cli.hpp"
#include "runtime/commands/plan_support.hpp"
#include "scheduler/check.hpp"
#include "scheduler/figures.hpp"
#include "scheduler/instance_json.hpp"
#include "scheduler/schedule_json.hpp"
#include "scheduler/simulator.hpp"

#include <cstdio>
#include <iostream>
#include <memory>

namespace skippipe::runtime {

namespace {

using namespace scheduler;

struct simulate_options {
  std::string instance_file, schedule_file;
  bool contention = false, json = false;
};

int run_simulate(const simulate_options& given) {
  const auto problem = load_instance(given.instance_file);
  if (!problem.value)
    throw command_error(joined(problem.problems));
  auto read = load_schedule(given.schedule_file, *problem.value);
  if (!read.value)
    throw command_error(joined(read.problems));
  plan& p = *read.value;
  simulate_rules rules;
  rules.contention = given.contention;
  const simulation timed = simulate(*problem.value, p.paths, p.order, rules);
  const bool claims = p.makespan_s > 0;
  // Contention is no part of what a schedule claims.
  if (timed.violations.empty() && (!claims || given.contention))
    p.makespan_s = simulate(*problem.value, p.paths, p.order).makespan_s;
  const auto violations = check_plan(*problem.value, p);
  if (given.json) {
    nlohmann::json nodes = nlohmann::json::array();
    for (std::size_t n = 0; n < timed.busy_s.size(); ++n)
      nodes.push_back(
          {{"id", n},
           {"busy_s", timed.busy_s[n]},
           {"utilisation", timed.makespan_s > 0 ? timed.busy_s[n] / timed.makespan_s : 0},
           {"peak", timed.peak[n]}});
    nlohmann::json line{{"valid", violations.empty()},
                        {"violations", violations},
                        {"makespan_s", nullptr},
                        {"nodes", nodes}};
    if (timed.violations.empty())
      line["makespan_s"] = timed.makespan_s;
    if (violations.empty())
      if (const auto seconds = iteration_seconds(*problem.value, p))
        line["iteration_s"] = *seconds;
    print_json(line);
  } else {
    for (const std::string& v : violations)
      std::printf("violation: %s\n", v.c_str());
    if (timed.violations.empty()) {
      std::printf("makespan %.6f s\n", timed.makespan_s);
      for (std::size_t n = 0; n < timed.busy_s.size(); ++n)
        std::printf("node %4zu %-12s busy %9.3f s  utilisation %5.1f %%  peak %u of %u slots\n", n,
                    problem.value->nodes[n].name.c_str(), timed.busy_s[n],
                    timed.makespan_s > 0 ? 100 * timed.busy_s[n] / timed.makespan_s : 0.0,
                    timed.peak[n], problem.value->nodes[n].memory);
    }
  }
  if (!violations.empty())
    throw command_error(given.schedule_file + ": " + violations.front());
  return 0;
}

} // namespace

void add_simulate(CLI::App& app, command_context& context) {
  auto* command = app.add_subcommand("simulate", "Check a schedule and time it exactly");
  auto o = std::make_shared<simulate_options>();
  command->add_option("--instance", o->instance_file, "The instance file (JSON)")->required();
  command->add_option("--schedule", o->schedule_file, "The schedule file, as plan --out writes it")
      ->required();
  command->add_flag("--contention", o->contention, "Sends of one node share its interface");
  command->add_flag("--json", o->json, "One JSON object on stdout");
  command->callback([&context, o] { context.run = [o] { return run_simulate(*o); }; });
}

} // namespace skippipe::runtime
