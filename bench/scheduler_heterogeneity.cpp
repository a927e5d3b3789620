// What it is worth to know each node: plans made with the true costs and memories, against plans by the same
// planner told that all nodes are average, all of them run at the true costs.
// usage: bench_scheduler_heterogeneity SECONDS SEEDS NODES...
#include "scheduler/check.hpp"
#include "scheduler/dispatch.hpp"
#include "scheduler/planner.hpp"
#include "scheduler/simulator.hpp"
#include "scheduler/timetable.hpp"

#include "scheduler_instances.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

using namespace skippipe;
using namespace skippipe::scheduler;

namespace {

plan planned(const instance& problem, double seconds, std::uint64_t seed) {
  planner_options options;
  options.time_limit_s = seconds;
  options.seed = seed;
  options.threads = 2;
  return std::get<plan>(make_plan(problem, options));
}

/// Every node as quick and as roomy as the mean of all.
instance averaged(const instance& problem, bool memory) {
  instance x = problem;
  double compute = 0, slots = 0;
  for (const node_spec& n : problem.nodes) {
    compute += n.compute_s / double(problem.nodes.size());
    slots += double(n.memory) / double(problem.nodes.size());
  }
  for (node_spec& n : x.nodes) {
    n.compute_s = compute;
    if (memory)
      n.memory = static_cast<std::uint32_t>(slots);
  }
  return x;
}

/// Seconds that a plan made for `told` takes on the true nodes: in the planned order where the true memory
/// holds it, and else in the better of two orders made for the true memory, microbatches in the sequence
/// that was planned.
double true_seconds(const instance& problem, const instance& told, plan p, bool& own_order) {
  const simulation timed = simulate(problem, p.paths, p.order);
  own_order = timed.violations.empty();
  if (own_order)
    return timed.makespan_s;
  const simulation planned = simulate(told, p.paths, p.order);
  std::sort(p.paths.begin(), p.paths.end(), [&](const path& a, const path& b) {
    return planned.start[a.microbatch][0] < planned.start[b.microbatch][0];
  });
  timetable table(problem);
  for (const path& x : p.paths)
    table.insert(x, table.fit(x));
  double best = simulate(problem, p.paths, table.order()).makespan_s;
  if (const auto run = dispatch(problem, p.paths))
    best = std::min(best, run->makespan_s);
  return best;
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: bench_scheduler_heterogeneity SECONDS SEEDS NODES...\n");
    return 2;
  }
  const double seconds = std::strtod(argv[1], nullptr);
  const auto seeds = std::strtoull(argv[2], nullptr, 10);
  std::printf("%-18s %9s %21s %21s\n%-18s %9s %12s %8s %12s %8s\n", "", "all known",
              "speeds averaged", "memory averaged, too", "instance", "s", "s", "margin", "s",
              "margin");
  for (int i = 3; i < argc; ++i) {
    const auto nodes = static_cast<std::uint32_t>(std::strtoul(argv[i], nullptr, 10));
    double known_sum = 0, speed_sum = 0, both_sum = 0, least = 1e9;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
      const instance problem = bench::generated_instance(bench::options_for_size(nodes, seed));
      const double known = planned(problem, seconds, seed).makespan_s;
      bool own = true;
      const instance speeds = averaged(problem, false), all = averaged(problem, true);
      const double speed = true_seconds(problem, speeds, planned(speeds, seconds, seed), own);
      const double both = true_seconds(problem, all, planned(all, seconds, seed), own);
      std::printf("%-18s %9.3f %12.3f %7.1f%% %12.3f %7.1f%%%s\n", problem.name.c_str(), known,
                  speed, 100 * (1 - known / speed), both, 100 * (1 - known / both),
                  own ? "" : "  (order made anew)");
      std::fflush(stdout);
      known_sum += known;
      speed_sum += speed;
      both_sum += both;
      least = std::min({least, 1 - known / speed, 1 - known / both});
    }
    std::printf(
        "%5u nodes: margin %.1f %% over averaged speeds, %.1f %% over averages; least %.1f %%\n",
        nodes, 100 * (1 - known_sum / speed_sum), 100 * (1 - known_sum / both_sum), 100 * least);
  }
  return 0;
}
