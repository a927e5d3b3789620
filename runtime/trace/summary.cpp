#include "runtime/trace/summary.hpp"

#include "runtime/trace/text_table.hpp"

#include <algorithm>
#include <cstdio>
#include <set>

namespace skippipe::runtime {

using nlohmann::ordered_json;
using trace::event_kind;

namespace {

struct tally {
  iteration_line line;
  time_point begin, first, committed, last;
  std::set<microbatch_id> microbatches;
};

void count(tally& t, const trace::event& e) {
  auto& line = t.line;
  line.iteration = e.iteration;
  line.replays = std::max(line.replays, e.attempt);
  if (e.microbatch != trace::no_microbatch)
    t.microbatches.insert(e.microbatch);
  switch (e.kind) {
    case event_kind::iteration_started:
      t.begin = std::min(t.begin.value_or(e.time_ns), e.time_ns);
      break;
    case event_kind::sent:
    case event_kind::reduce_sent:
      ++line.transfers;
      line.bytes += e.bytes;
      break;
    case event_kind::dropped:
      ++line.dropped;
      break;
    case event_kind::lost:
      ++line.lost;
      break;
    case event_kind::commit_received:
    case event_kind::step_done:
      t.committed = e.time_ns; // events come by time
      break;
    default:
      break;
  }
  const bool beside = e.kind == event_kind::plan_received || e.kind == event_kind::planned
                      || e.kind == event_kind::snapshot_started
                      || e.kind == event_kind::snapshot_done;
  if (beside)
    return;
  t.first = t.first.value_or(e.time_ns);
  t.last = e.time_ns;
}

std::string fixed(double value, int decimals) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

} // namespace

std::vector<iteration_line> summarize(const run_trace& run) {
  std::map<iteration_no, tally> tallies;
  for (const auto& e : run.events)
    if (e.iteration != 0 && e.evaluation == 0)
      count(tallies[e.iteration], e);
  std::vector<iteration_line> lines;
  attempt_no least = 0; // attempts count from 0 or from 1, the same in a whole run
  for (auto& [iteration, t] : tallies) {
    auto line = t.line;
    line.microbatches = t.microbatches.size();
    line.committed = t.committed.has_value();
    const auto begin = t.begin ? t.begin : t.first;
    const auto end = t.committed ? t.committed : t.last;
    if (begin && end)
      line.seconds = static_cast<double>(std::max(*end, *begin) - *begin) / 1e9;
    least = lines.empty() ? line.replays : std::min(least, line.replays);
    lines.push_back(line);
  }
  for (auto& line : lines)
    line.replays -= least;
  return lines;
}

std::string summary_text(const std::vector<iteration_line>& lines) {
  text_table table(
      {"iteration", "s", "microbatches", "replays", "transfers", "bytes", "dropped", "lost", ""});
  for (const auto& line : lines)
    table.add({std::to_string(line.iteration), fixed(line.seconds, 4),
               std::to_string(line.microbatches), std::to_string(line.replays),
               std::to_string(line.transfers), std::to_string(line.bytes),
               std::to_string(line.dropped), std::to_string(line.lost),
               line.committed ? "" : "not committed"});
  return table.text({0, 1, 2, 3, 4, 5, 6, 7});
}

ordered_json summary_json(const std::vector<iteration_line>& lines) {
  ordered_json out = ordered_json::array();
  for (const auto& line : lines)
    out.push_back({{"iteration", line.iteration},
                   {"seconds", line.seconds},
                   {"microbatches", line.microbatches},
                   {"replays", line.replays},
                   {"transfers", line.transfers},
                   {"bytes", line.bytes},
                   {"dropped", line.dropped},
                   {"lost", line.lost},
                   {"committed", line.committed}});
  return {{"iterations", out}};
}

std::vector<microbatch_line> summarize(const run_trace& run, const iteration_view& view) {
  std::vector<microbatch_line> lines;
  for (const auto& [id, m] : view.microbatches) {
    auto& line = lines.emplace_back();
    line.microbatch = id;
    line.tasks = m.tasks.size();
    for (const std::size_t i : m.tasks) {
      const auto& t = view.tasks[i];
      if (t.kind == scheduler::task_kind::forward)
        line.route += (line.route.empty() ? "" : " ") + run.name(t.node);
      line.tasks_done += t.computed ? 1 : 0;
    }
    for (const auto& s : m.spans) {
      const double seconds = static_cast<double>(s.end - s.begin) / 1e9;
      line.spent[static_cast<std::size_t>(s.what)] += seconds;
      line.seconds += seconds;
    }
  }
  return lines;
}

std::string summary_text(const iteration_view& view, const std::vector<microbatch_line>& lines) {
  std::vector<std::string> head = {"microbatch", "forward along", "ms"};
  std::vector<std::size_t> right = {0, 2};
  for (std::size_t a = 0; a < activities; ++a) {
    head.emplace_back(to_string(static_cast<activity>(a)));
    right.push_back(head.size() - 1);
  }
  head.emplace_back("");
  text_table table(head);
  for (const auto& line : lines) {
    std::vector<std::string> row = {std::to_string(line.microbatch), line.route,
                                    fixed(1e3 * line.seconds, 2)};
    for (const double spent : line.spent)
      row.push_back(fixed(1e3 * spent, 2));
    row.push_back(line.tasks_done == line.tasks ? ""
                                                : std::to_string(line.tasks_done) + " of "
                                                      + std::to_string(line.tasks) + " tasks done");
    table.add(row);
  }
  return "iteration " + std::to_string(view.iteration) + "; times in ms\n\n" + table.text(right);
}

ordered_json summary_json(const iteration_view& view, const std::vector<microbatch_line>& lines) {
  ordered_json out = ordered_json::array();
  for (const auto& line : lines) {
    ordered_json spent = ordered_json::object();
    for (std::size_t a = 0; a < activities; ++a)
      spent[std::string(to_string(static_cast<activity>(a))) + "_s"] = line.spent[a];
    out.push_back({{"microbatch", line.microbatch},
                   {"route", line.route},
                   {"seconds", line.seconds},
                   {"spent", spent},
                   {"tasks_done", line.tasks_done},
                   {"tasks", line.tasks}});
  }
  return {{"iteration", view.iteration}, {"microbatches", out}};
}

} // namespace skippipe::runtime
