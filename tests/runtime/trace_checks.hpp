// What must hold of the trace of a run that went well, by whatever cluster.
#pragma once

#include "runtime/trace/chrome.hpp"
#include "runtime/trace/explain.hpp"
#include "runtime/trace/story.hpp"

#include <catch2/catch.hpp>
#include <sstream>

namespace skippipe::test {

using namespace skippipe::runtime;

// The path as "F0@n0 F1@n2 L0@n0 ...".
inline std::string expected_route(const scheduler::path& path) {
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

inline std::string told_route(const run_trace& run, const story& s) {
  std::string out;
  for (const auto& hop : s.hops)
    out += (out.empty() ? "" : " ") + std::string(trace::to_string(hop.task.kind))
           + std::to_string(hop.task.stage) + "@" + run.name(hop.task.node);
  return out;
}

inline void check_story(const story& s) {
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

inline void check_explained(const iteration_view& view, const explanation& x) {
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

/// Every microbatch of iterations 1..last: its whole story along the planned path, every second
/// explained, every transfer a closed flow. Nodes are named n0, n1 and so on.
inline void check_trace(const std::filesystem::path& dir, const scheduler::plan& plan,
                        iteration_no last) {
  const auto loaded = load_run_trace(dir);
  REQUIRE(std::holds_alternative<run_trace>(loaded));
  const auto& run = std::get<run_trace>(loaded);
  CHECK(run.warnings.empty());
  CHECK(iterations_of(run).size() == last);
  for (iteration_no t = 1; t <= last; ++t) {
    const auto view = view_iteration(run, t);
    REQUIRE(view.microbatches.size() == plan.paths.size());
    for (const auto& path : plan.paths) {
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

} // namespace skippipe::test
