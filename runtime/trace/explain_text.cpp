#include "runtime/trace/explain.hpp"

#include "runtime/trace/text_table.hpp"

#include <cstdio>

namespace skippipe::runtime {

using nlohmann::ordered_json;

namespace {

std::string fixed(double value, int decimals) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

double seconds_at(const explanation& x, std::int64_t time_ns) {
  return static_cast<double>(time_ns - x.begin_ns) / 1e9;
}

std::string what_text(const run_trace& run, const critical_step& s) {
  const auto task =
      std::string(trace::to_string(s.task)) + " of microbatch " + std::to_string(s.microbatch);
  switch (s.what) {
    case critical_step::type::compute:
      return task;
    case critical_step::type::link:
      return "from " + run.name(s.from) + " for " + task;
    case critical_step::type::memory:
      return "a slot for " + task;
    case critical_step::type::wait:
      return s.microbatch == trace::no_microbatch ? "" : "before " + task;
    default:
      return "";
  }
}

} // namespace

std::string explain_text(const run_trace& run, const explanation& x) {
  std::string out = "iteration " + std::to_string(x.iteration) + " took " + fixed(x.makespan_s, 4)
                    + " s\n\nwhere each node's time went, in %\n";
  std::vector<std::string> head = {"node", "stage"};
  std::vector<std::size_t> right = {1};
  for (std::size_t s = 0; s < shares; ++s) {
    head.emplace_back(to_string(static_cast<share>(s)));
    right.push_back(s + 2);
  }
  text_table nodes(head);
  for (const auto& n : x.nodes) {
    std::vector<std::string> row = {run.name(n.node),
                                    n.stage == trace::no_stage ? "?" : std::to_string(n.stage)};
    for (const double s : n.seconds)
      row.push_back(fixed(x.makespan_s > 0 ? 100 * s / x.makespan_s : 0, 1));
    nodes.add(row);
  }
  out += nodes.text(right) + "\nthe critical path\n";
  text_table path({"from s", "to s", "what", "node", "stage", ""});
  std::size_t brief = 0;
  for (const auto& s : x.path) {
    const bool waits = s.what == critical_step::type::wait || s.what == critical_step::type::link;
    if (waits && static_cast<double>(s.end_ns - s.begin_ns) < 1e9 * x.makespan_s / 2000) {
      ++brief; // A row each would bury what matters.
      continue;
    }
    path.add({fixed(seconds_at(x, s.begin_ns), 4), fixed(seconds_at(x, s.end_ns), 4),
              std::string(to_string(s.what)), run.name(s.node),
              s.stage == trace::no_stage ? "" : std::to_string(s.stage), what_text(run, s)});
  }
  out += path.text({0, 1, 4});
  if (brief > 0)
    out += "(" + std::to_string(brief) + " waits under 0.05 % of the time are left out)\n";
  for (const auto& line : x.advice)
    out += "\n- " + line;
  return out + (x.advice.empty() ? "" : "\n");
}

ordered_json explain_json(const run_trace& run, const explanation& x) {
  ordered_json path = ordered_json::array();
  for (const auto& s : x.path) {
    ordered_json step = {{"what", to_string(s.what)}, {"node", run.name(s.node)}};
    if (s.from != trace::no_node)
      step["from"] = run.name(s.from);
    if (s.stage != trace::no_stage)
      step["stage"] = s.stage;
    if (s.microbatch != trace::no_microbatch) {
      step["microbatch"] = s.microbatch;
      step["task"] = trace::to_string(s.task);
    }
    if (s.bytes != 0)
      step["bytes"] = s.bytes;
    step["start_s"] = seconds_at(x, s.begin_ns);
    step["end_s"] = seconds_at(x, s.end_ns);
    path.push_back(std::move(step));
  }
  ordered_json nodes = ordered_json::array();
  for (const auto& n : x.nodes) {
    ordered_json node = {{"name", run.name(n.node)}};
    for (std::size_t s = 0; s < shares; ++s)
      node[std::string(to_string(static_cast<share>(s)))] = n.seconds[s];
    nodes.push_back(std::move(node));
  }
  return {{"iteration", x.iteration},
          {"makespan_s", x.makespan_s},
          {"critical_path", path},
          {"nodes", nodes},
          {"advice", x.advice}};
}

} // namespace skippipe::runtime
