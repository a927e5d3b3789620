// The traces that real actors leave, read back (simulated clusters: virtual time, seeded faults).
#include "../actors/sim_problem.hpp"

#include "actors/trace/plan_record.hpp"
#include "trace_checks.hpp"
#include "trace_pipeline.hpp"

#include <catch2/catch.hpp>

using namespace skippipe;
using namespace skippipe::actors::simulation;

namespace {

struct traced_run {
  test::temporary_folder dir;
  scheduler::plan plan;
  sim_result result;
};

// A random job over three iterations on a network that delays, reorders and duplicates.
void run_job(std::uint64_t seed, traced_run& out) {
  random_source random{seed};
  const auto problem = random_problem(random);
  out.plan = random_plan(problem, random.next());
  sim_options options;
  options.seed = seed;
  options.faults.latency_ns = 100'000;
  options.faults.jitter_ns = 20'000'000;
  options.faults.duplicate = 0.2;
  options.job.plan = out.plan;
  for (const auto& node : problem.nodes)
    options.job.memory.push_back(node.memory);
  options.job.last = 3;
  out.result = sim_cluster{options}.run();
  REQUIRE(out.result.finished);

  const auto timing = scheduler::simulate(problem, out.plan.paths, out.plan.order);
  const auto times = trace::times_of(out.plan, timing);
  REQUIRE(times.size() == out.plan.order.size());
  REQUIRE_FALSE(trace::write_plan_record(out.dir.path, out.plan, times));
  std::map<node_id, std::vector<trace::event>> nodes;
  for (const auto& e : out.result.events)
    nodes[e.node].push_back(e);
  for (const auto& [node, events] : nodes) {
    trace::segment_info info;
    info.name = node == trace::no_node ? "scheduler" : "n" + std::to_string(node);
    info.node = node;
    trace::file_writer writer;
    REQUIRE_FALSE(writer.open({out.dir.path}, info));
    REQUIRE_FALSE(writer.append(events, 0));
  }
}

} // namespace

TEST_CASE("clusters leave complete stories, explanations and flows", "[trace][cluster]") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    traced_run job;
    run_job(seed, job);
    test::check_trace(job.dir.path, job.plan, 3);
  }
}
