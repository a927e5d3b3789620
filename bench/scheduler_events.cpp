// Task events per second of the exact simulator, one thread.
// usage: bench_scheduler_events SECONDS NODES...
#include "scheduler/planner.hpp"
#include "scheduler/simulator.hpp"

#include "scheduler_instances.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>

using namespace skippipe;
using namespace skippipe::scheduler;

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: bench_scheduler_events SECONDS NODES...\n");
    return 2;
  }
  const double seconds = std::strtod(argv[1], nullptr);
  std::printf("nodes microbatches    tasks      runs    events/s  with contention\n");
  for (int i = 2; i < argc; ++i) {
    const auto nodes = static_cast<std::uint32_t>(std::strtoul(argv[i], nullptr, 10));
    const instance problem = bench::generated_instance(bench::options_for_size(nodes, 1));
    planner_options options;
    options.kind = strategy::random;
    const plan p = std::get<plan>(make_plan(problem, options));
    std::size_t tasks = 0;
    for (const auto& order : p.order)
      tasks += order.size();
    double rate[2];
    std::size_t runs = 0;
    for (const bool contention : {false, true}) {
      const auto begin = std::chrono::steady_clock::now();
      double took = 0, sum = 0;
      for (runs = 0; took < seconds; ++runs) {
        const simulation timed = simulate(problem, p.paths, p.order, {contention});
        sum += timed.makespan_s;
        took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      }
      if (!(sum > 0)) {
        std::fprintf(stderr, "bench_scheduler_events: the plan does not run\n");
        return 1;
      }
      rate[contention] = double(tasks) * double(runs) / took;
    }
    std::printf("%5u %12zu %8zu %9zu %11.0f %16.0f\n", nodes, p.paths.size(), tasks, runs, rate[0],
                rate[1]);
    std::fflush(stdout);
  }
  return 0;
}
