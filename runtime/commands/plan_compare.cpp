#include "runtime/commands/plan_compare.hpp"

#include "runtime/command_error.hpp"
#include "runtime/commands/plan_support.hpp"
#include "runtime/output.hpp"
#include "scheduler/check.hpp"
#include "scheduler/figures.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iterator>
#include <vector>

namespace skippipe::runtime {

using namespace scheduler;

namespace {

/// Whether a strategy takes what time it is given: these share it equally.
bool searches(strategy kind) {
  return kind == strategy::full || kind == strategy::cbs || kind == strategy::skippipe;
}

struct row {
  plan_figures figures;
  std::size_t microbatches = 0;
  double bound_s = 0, wall_s = 0;
};

void print(const named_strategy& s, const row& r, double full_s, bool json) {
  const plan_figures& f = r.figures;
  if (json)
    print_json({{"strategy", s.name},
                {"makespan_s", f.makespan_s},
                {"lower_bound_s", r.bound_s},
                {"gap", gap_of(f.makespan_s, r.bound_s)},
                {"wall_s", r.wall_s},
                {"valid", true},
                {"microbatches", r.microbatches},
                {"reduction", 1 - f.makespan_s / full_s},
                {"relay_share", f.relay_share},
                {"utilisation", f.utilisation},
                {"bubble", 1 - f.utilisation}});
  else
    std::printf("%-14s %12.3f %9.1f%% %10.1f%% %11.1f%% %7.1f%% %12.3f %8.2f\n", s.name,
                f.makespan_s, 100 * (1 - f.makespan_s / full_s), 100 * f.relay_share,
                100 * f.utilisation, 100 * (1 - f.utilisation), r.bound_s, r.wall_s);
}

} // namespace

int compare_strategies(const instance& problem, const planner_options& given, bool json) {
  std::vector<strategy> kinds;
  for (const named_strategy& s : strategies)
    kinds.push_back(s.kind);
  if (const auto why = find_obstacle(problem, kinds))
    return report_infeasible(*why, json);
  using clock = std::chrono::steady_clock;
  const auto begin = clock::now();
  const auto since = [](clock::time_point t) {
    return std::chrono::duration<double>(clock::now() - t).count();
  };
  const double full_bound = bounds_of(problem, strategy::full).best();
  const double bound = bounds_of(problem, strategy::skippipe).best();
  // Those that answer at once go first, so that the others know how much time there is.
  std::vector<row> rows(std::size(strategies));
  int left =
      static_cast<int>(std::count_if(std::begin(strategies), std::end(strategies),
                                     [](const named_strategy& s) { return searches(s.kind); }));
  for (const bool searching : {false, true})
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (searches(strategies[i].kind) != searching)
        continue;
      row& r = rows[i];
      r.bound_s = strategies[i].kind == strategy::full ? full_bound : bound;
      planner_options options = given;
      options.kind = strategies[i].kind;
      options.time_limit_s = std::max(0.0, given.time_limit_s - since(begin));
      if (searching)
        options.time_limit_s /= left--;
      const auto started = clock::now();
      const auto result = make_plan(problem, options);
      r.wall_s = since(started);
      const plan& p = std::get<plan>(result); // No obstacle, so there is one.
      if (const auto wrong = check_plan(problem, p); !wrong.empty())
        throw command_error(std::string(strategies[i].name)
                            + ": the plan breaks a rule: " + wrong.front());
      r.figures = figures_of(problem, p);
      r.microbatches = p.paths.size();
    }
  if (!json)
    std::printf("%zu microbatches an iteration\n%-14s %12s %10s %11s %12s %8s %12s %8s\n",
                rows.front().microbatches, "strategy", "makespan s", "reduction", "relay work",
                "utilisation", "bubble", "bound s", "wall s");
  for (std::size_t i = 0; i < rows.size(); ++i)
    print(strategies[i], rows[i], rows.front().figures.makespan_s, json);
  return 0;
}

} // namespace skippipe::runtime
