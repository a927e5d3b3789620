// Quality of every strategy on instance files: makespan, bound, and the ratio to recorded results.
// usage: bench_scheduler_quality SECONDS SEED STRATEGY INSTANCE[=KNOWN_S]...
#include "scheduler/bounds.hpp"
#include "scheduler/check.hpp"
#include "scheduler/instance_json.hpp"
#include "scheduler/planner.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

using namespace skippipe;
using namespace skippipe::scheduler;

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: bench_scheduler_quality SECONDS SEED STRATEGY FILE[=KNOWN]...\n");
    return 2;
  }
  const std::map<std::string, strategy> names{{"full", strategy::full},
                                              {"random", strategy::random},
                                              {"no-collision", strategy::no_collision},
                                              {"cbs", strategy::cbs},
                                              {"skippipe", strategy::skippipe}};
  double sum = 0;
  int rated = 0;
  for (int i = 4; i < argc; ++i) {
    std::string file = argv[i];
    double known = 0;
    if (const auto at = file.find('='); at != std::string::npos) {
      known = std::strtod(file.c_str() + at + 1, nullptr);
      file.resize(at);
    }
    const auto read = load_instance(file);
    if (!read.value) {
      std::printf("%s\n", read.problems[0].c_str());
      return 1;
    }
    planner_options options;
    options.kind = names.at(argv[3]);
    options.time_limit_s = std::strtod(argv[1], nullptr);
    options.seed = std::strtoull(argv[2], nullptr, 10);
    options.threads = 2;
    const char* iterations = std::getenv("ITERATIONS"); // Repeatable comparisons on a busy machine.
    if (iterations) {
      options.max_iterations = std::strtoull(iterations, nullptr, 10);
      options.threads = 1;
    }
    const auto begin = std::chrono::steady_clock::now();
    const auto result = make_plan(*read.value, options);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    const plan* p = std::get_if<plan>(&result);
    if (p == nullptr) {
      std::printf("%-20s infeasible: %s\n", read.value->name.c_str(),
                  std::get<infeasible>(result).reason.c_str());
      continue;
    }
    const auto wrong = check_plan(*read.value, *p);
    std::printf("%-20s %9.4f s  bound %9.4f s  wall %6.3f s", read.value->name.c_str(),
                p->makespan_s, lower_bound(*read.value).best(), took.count());
    if (known > 0) {
      std::printf("  ratio %.4f", p->makespan_s / known);
      sum += p->makespan_s / known;
      ++rated;
    }
    std::printf("%s\n", wrong.empty() ? "" : ("  INVALID " + wrong[0]).c_str());
    std::fflush(stdout);
  }
  if (rated > 0)
    std::printf("mean ratio %.4f\n", sum / rated);
  return 0;
}
