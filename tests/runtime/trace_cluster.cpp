// The traces that real actors leave, read back (simulated clusters: virtual time, seeded faults).
#include "../actors/sim_problem.hpp"

#include "actors/trace/plan_record.hpp"
#include "runtime/trace/chrome.hpp"
#include "runtime/trace/explain.hpp"
#include "runtime/trace/story.hpp"
#include "trace_pipeline.hpp"

#include <catch2/catch.hpp>
#include <sstream>

using namespace skippipe;
using namespace skippipe::actors::simulation;
using namespace skippipe::runtime;

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

// The path as "F0@n0 F1@n2 L0@n0 ...".
std::string expected_route(const scheduler::path& path) {
  std::ostringstream out;
  out << "F0@n" << path.origin;
  for (const auto& hop : path.hops)
    out << " F" << hop.stage << "@n" << hop.node;
  out << " L0@n" << path.origin;
  for (auto hop = path.hops.rbegin(); hop != path.hops.rend(); ++hop)
    out << " B" << hop->stage << "@n" << hop->node;
  out << " B0@n" << path.origin;
  return out.str();
}

std::string told_route(const run_trace& run, const story& s) {
  std::string out;
  for (const auto& hop : s.hops)
    out += (out.empty() ? "" : " ") + std::string(trace::to_string(hop.task.kind))
           + std::to_string(hop.task.stage) + "@" + run.name(hop.task.node);
  return out;
}

void check_story(const story& s) {
  CHECK(s.stuck.empty());
  for (std::size_t i = 0; i < s.hops.size(); ++i) {
    const auto& t = s.hops[i].task;
    REQUIRE((t.queued || i == 0));
    REQUIRE(s.hops[i].planned);
    if (i > 0)
      CHECK(s.hops[i].planned->start_s >= s.hops[i - 1].planned->end_s);
    REQUIRE((t.started && t.computed));
    CHECK(*t.started <= *t.computed);
    if (i + 1 == s.hops.size())
      continue;
    const auto& next = s.hops[i + 1].task;
    if (next.node == t.node) // nothing moves
      continue;
    REQUIRE((t.sent && next.received));
    CHECK(t.to == next.node);
    CHECK(next.from == t.node);
    CHECK(t.bytes_out == next.bytes_in);
    CHECK(*t.computed <= *t.sent);
    CHECK(*t.sent <= *next.received);
  }
  for (const auto& stage : s.stages) {
    CHECK(stage.freed_s);
    CHECK(stage.reduced_s);
    CHECK(stage.committed_s);
    CHECK(stage.stepped_s);
  }
}

void check_explained(const iteration_view& view, const explanation& x) {
  for (const auto& n : x.nodes) {
    double sum = 0;
    for (const double s : n.seconds)
      sum += s;
    CHECK(sum == Approx(x.makespan_s));
    CHECK(n.of(share::recovery) == 0);
  }
  REQUIRE_FALSE(x.path.empty());
  CHECK(x.path.back().end_ns == view.end_ns);
  for (std::size_t i = 1; i < x.path.size(); ++i)
    CHECK(x.path[i].begin_ns == x.path[i - 1].end_ns);
}

} // namespace

TEST_CASE("clusters leave complete stories, explanations and flows", "[trace][cluster]") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    traced_run job;
    run_job(seed, job);
    const auto loaded = load_run_trace(job.dir.path);
    REQUIRE(std::holds_alternative<run_trace>(loaded));
    const auto& run = std::get<run_trace>(loaded);
    CHECK(run.warnings.empty());
    CHECK(iterations_of(run) == std::vector<std::uint64_t>{1, 2, 3});
    for (iteration_no t = 1; t <= 3; ++t) {
      const auto view = view_iteration(run, t);
      REQUIRE(view.microbatches.size() == job.plan.paths.size());
      for (const auto& path : job.plan.paths) {
        const auto told = tell_story(run, view, path.microbatch);
        REQUIRE(std::holds_alternative<story>(told));
        const auto& s = std::get<story>(told);
        CHECK(told_route(run, s) == expected_route(path));
        check_story(s);
      }
      check_explained(view, explain(run, view));
    }
    std::ostringstream out;
    const auto summary = write_chrome_trace(run, out);
    CHECK(summary.lost == 0);
    std::size_t starts = 0, ends = 0;
    const auto exported = nlohmann::json::parse(out.str());
    for (const auto& e : exported["traceEvents"]) {
      starts += e["ph"] == "s" ? 1 : 0;
      ends += e["ph"] == "f" ? 1 : 0;
    }
    CHECK(starts == summary.transfers);
    CHECK(ends == summary.transfers);
  }
}
