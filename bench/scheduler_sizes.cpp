// Time and quality against size, with a plain annealer as the peer.
// usage: bench_scheduler_sizes PLAN_SECONDS ANNEAL_SECONDS SEED NODES...
#include "scheduler/bounds.hpp"
#include "scheduler/check.hpp"
#include "scheduler/planner.hpp"

#include "plain_annealer.hpp"
#include "scheduler_instances.hpp"

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

using namespace skippipe;
using namespace skippipe::scheduler;

namespace {

double seconds_of(const auto& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double peak_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return double(usage.ru_maxrss) / 1024;
}

plan planned(const instance& problem, double seconds, std::uint64_t seed) {
  planner_options options;
  options.time_limit_s = seconds;
  options.seed = seed;
  options.threads = 2;
  return std::get<plan>(make_plan(problem, options));
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: bench_scheduler_sizes PLAN_S ANNEAL_S SEED NODES...\n");
    return 2;
  }
  const double plan_s = std::strtod(argv[1], nullptr), anneal_s = std::strtod(argv[2], nullptr);
  const auto seed = std::strtoull(argv[3], nullptr, 10);
  std::printf("nodes stages microbatches  first plan s  makespan   after s  makespan   bound s"
              "     bound  peak MB  annealer s  makespan  ratio\n");
  for (int i = 4; i < argc; ++i) {
    const auto nodes = static_cast<std::uint32_t>(std::strtoul(argv[i], nullptr, 10));
    const instance problem = bench::generated_instance(bench::options_for_size(nodes, seed));
    plan first, best, plain[2];
    const double first_s = seconds_of([&] { first = planned(problem, 0, seed); });
    const double best_s = seconds_of([&] { best = planned(problem, plan_s, seed); });
    const double memory = peak_mb();
    double bound = 0;
    const double bound_s = seconds_of([&] { bound = lower_bound(problem).best(); });
    for (const plan* p : {&first, &best})
      if (const auto wrong = check_plan(problem, *p); !wrong.empty())
        std::printf("INVALID %s\n", wrong[0].c_str());
    std::printf("%5u %6u %12zu %13.3f %9.3f %9.2f %9.3f %9.3f %9.3f %8.0f", nodes, problem.stages,
                best.paths.size(), first_s, first.makespan_s, best_s, best.makespan_s, bound_s,
                bound, memory);
    std::fflush(stdout);
    if (anneal_s > 0) { // As many threads as the planner has, the better one counts.
      std::thread other([&] { plain[1] = bench::plain_anneal(problem, anneal_s, 2 * seed + 1); });
      plain[0] = bench::plain_anneal(problem, anneal_s, 2 * seed);
      other.join();
      for (const plan& p : plain)
        if (const auto wrong = check_plan(problem, p); !wrong.empty())
          std::printf("INVALID %s\n", wrong[0].c_str());
      const double least = std::min(plain[0].makespan_s, plain[1].makespan_s);
      std::printf(" %11.1f %9.3f %6.3f", anneal_s, least, best.makespan_s / least);
    }
    std::printf("\n");
    std::fflush(stdout);
  }
  return 0;
}
