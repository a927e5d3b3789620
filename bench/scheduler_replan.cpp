// Replanning after one node leaves, against planning the smaller cluster afresh.
// usage: bench_scheduler_replan FRESH_SECONDS REPLAN_SECONDS LEAVERS FILE|NODES...
#include "scheduler/check.hpp"
#include "scheduler/instance_json.hpp"
#include "scheduler/planner.hpp"
#include "scheduler/replan.hpp"

#include "scheduler_instances.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

using namespace skippipe;
using namespace skippipe::scheduler;

namespace {

double seconds_of(const auto& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// `x` without node `gone`; `new_id` maps the old ids.
instance without(const instance& x, const plan& running, node_id gone,
                 std::vector<node_id>& new_id) {
  instance y = x;
  new_id.clear();
  for (node_id n = 0; n < x.nodes.size(); ++n)
    new_id.push_back(n == gone ? replan_request::gone : n - (n > gone));
  y.nodes.erase(y.nodes.begin() + gone);
  y.link_s.clear();
  for (node_id a = 0; a < x.nodes.size(); ++a)
    for (node_id b = 0; b < x.nodes.size(); ++b)
      if (a != gone && b != gone)
        y.link_s.push_back(x.link(a, b));
  for (stage_id s = 0; s < y.stage_sizes.size(); ++s)
    if (std::count(running.arrangement[s].begin(), running.arrangement[s].end(), gone) > 0)
      --y.stage_sizes[s];
  for (auto& nodes : y.arrangement) {
    nodes.erase(std::remove(nodes.begin(), nodes.end(), gone), nodes.end());
    for (node_id& n : nodes)
      n = new_id[n];
  }
  return y;
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: bench_scheduler_replan FRESH_S REPLAN_S LEAVERS FILE|NODES...\n");
    return 2;
  }
  planner_options fresh, quick;
  fresh.time_limit_s = std::strtod(argv[1], nullptr);
  fresh.threads = 2;
  quick.time_limit_s = std::strtod(argv[2], nullptr);
  quick.threads = 2;
  const auto leavers = static_cast<std::uint32_t>(std::strtoul(argv[3], nullptr, 10));
  std::printf("%-22s %5s %5s %9s %9s %9s %9s %6s %6s\n", "instance", "node", "stage", "running s",
              "replan ms", "replanned", "afresh", "ratio", "moved");
  for (int i = 4; i < argc; ++i) {
    const std::string name = argv[i];
    instance x;
    if (name.find_first_not_of("0123456789") == std::string::npos) {
      x = bench::generated_instance(
          bench::options_for_size(static_cast<std::uint32_t>(std::stoul(name)), 1));
    } else {
      const auto read = load_instance(name);
      if (!read.value) {
        std::fprintf(stderr, "%s\n", read.problems[0].c_str());
        return 1;
      }
      x = *read.value;
    }
    const plan running = std::get<plan>(make_plan(x, fresh));
    double sum = 0, slowest = 0;
    const auto nodes = static_cast<std::uint32_t>(x.nodes.size());
    for (std::uint32_t k = 0; k < leavers; ++k) {
      const node_id gone = (2 * k + 1) * nodes / (2 * leavers);
      std::vector<node_id> new_id;
      const instance y = without(x, running, gone, new_id);
      replan_report report;
      plan_result made = plan{};
      const double took = seconds_of([&] {
        made = replan(y, {&running, new_id, {}}, quick, report);
      });
      const plan& p = std::get<plan>(made);
      const plan anew = std::get<plan>(make_plan(y, fresh));
      stage_id stage = 0;
      for (stage_id s = 0; s < x.stages; ++s)
        if (std::count(running.arrangement[s].begin(), running.arrangement[s].end(), gone) > 0)
          stage = s;
      const auto wrong = check_plan(y, p);
      std::printf("%-22s %5u %5u %9.3f %9.1f %9.3f %9.3f %6.3f %6zu %s\n", x.name.c_str(), gone,
                  stage, running.makespan_s, 1000 * took, p.makespan_s, anew.makespan_s,
                  p.makespan_s / anew.makespan_s, report.moved_nodes.size(),
                  wrong.empty() ? "" : ("INVALID " + wrong[0]).c_str());
      std::fflush(stdout);
      sum += p.makespan_s / anew.makespan_s;
      slowest = std::max(slowest, took);
    }
    std::printf("%-22s mean ratio %.3f, slowest %.1f ms\n", x.name.c_str(), sum / leavers,
                1000 * slowest);
  }
  return 0;
}
