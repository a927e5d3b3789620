#include "runtime/trace/story.hpp"

#include "runtime/trace/text_table.hpp"

#include <algorithm>
#include <cmath>

namespace skippipe::runtime {

namespace {

// Seconds or milliseconds, whichever reads better for the whole table.
struct time_unit {
  double per_second;
  const char* name;
  int decimals;
};

time_unit unit_for(const story& s) {
  double longest = 0;
  for (const auto& hop : s.hops)
    if (hop.task.computed)
      longest = std::max(longest, static_cast<double>(*hop.task.computed - s.begin_ns) / 1e9);
  return longest >= 10 ? time_unit{1, "s", 3} : time_unit{1e3, "ms", 2};
}

std::string decimal(double seconds, const time_unit& unit) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", unit.decimals, seconds * unit.per_second);
  return text;
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> units = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t u = 0;
  for (; value >= 1024 && u + 1 < units.size(); ++u)
    value /= 1024;
  char text[64];
  std::snprintf(text, sizeof text, u == 0 ? "%.0f %s" : "%.1f %s", value, units[u]);
  return text;
}

// "link 12.0, busy 3.1": what took time before the task started, longest first.
std::string waited_text(const hop_story& hop, const time_unit& unit) {
  std::vector<std::pair<double, std::string>> parts;
  for (std::size_t a = 1; a < activities; ++a) // 0 is compute
    if (hop.seconds[a] * unit.per_second >= 0.5 * std::pow(10, -unit.decimals))
      parts.emplace_back(hop.seconds[a], to_string(static_cast<activity>(a)));
  std::stable_sort(parts.begin(), parts.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string out;
  for (const auto& [seconds, name] : parts)
    out += (out.empty() ? "" : ", ") + name + " " + decimal(seconds, unit);
  return out.empty() ? "-" : out;
}

class story_writer {
public:
  story_writer(const run_trace& run, const story& s) : run_(run), s_(s), unit_(unit_for(s)) {}

  std::string text() const {
    std::string out = "microbatch " + std::to_string(s_.microbatch) + " of iteration "
                      + std::to_string(s_.iteration);
    out += s_.plan ? ", plan " + std::to_string(*s_.plan) + " (" + s_.strategy + ")"
                   : ", without its plan";
    if (s_.attempts > 1)
      out += ", the last of " + std::to_string(s_.attempts)
             + " attempts (the others were given up: a node was lost, or a transfer failed)";
    out += "; times in " + std::string(unit_.name) + " from "
           + (s_.attempts > 1 ? "that attempt's" : "the iteration's") + " start\n\n";
    return out + hops() + "\n" + after() + drops() + ending();
  }

private:
  std::string at(const time_point& when) const {
    return when ? decimal(static_cast<double>(*when - s_.begin_ns) / 1e9, unit_) : "-";
  }
  std::string at(const std::optional<double>& when) const {
    return when ? decimal(*when, unit_) : "-";
  }

  std::string hops() const {
    text_table table({"stage", "node", "task", "planned", "received", "queued", "started",
                      "computed", "sent", "to", "bytes", "waited for"});
    for (const auto& hop : s_.hops) {
      const auto& t = hop.task;
      const auto planned = hop.planned ? decimal(hop.planned->start_s, unit_) + "-"
                                             + decimal(hop.planned->end_s, unit_)
                                       : "-";
      table.add({t.stage == trace::no_stage ? "?" : std::to_string(t.stage), run_.name(t.node),
                 std::string(trace::to_string(t.kind)), planned, at(t.received), at(t.queued),
                 at(t.started), at(t.computed), at(t.sent),
                 t.to == trace::no_node ? "-" : run_.name(t.to),
                 t.sent ? bytes_text(t.bytes_out) : "-", waited_text(hop, unit_)});
    }
    return table.text({0, 3, 4, 5, 6, 7, 8, 10});
  }

  std::string after() const {
    text_table table({"stage", "node", "freed", "reduction", "sent for it", "commit", "step done"});
    for (const auto& stage : s_.stages) {
      const auto reduction = stage.reduce_started_s || stage.reduced_s
                                 ? at(stage.reduce_started_s) + "-" + at(stage.reduced_s)
                                 : "-";
      table.add({stage.stage == trace::no_stage ? "?" : std::to_string(stage.stage),
                 run_.name(stage.node), at(stage.freed_s), reduction,
                 bytes_text(stage.reduced_bytes), at(stage.committed_s), at(stage.stepped_s)});
    }
    return table.text({0, 2, 3, 4, 5, 6});
  }

  std::string drops() const {
    std::string out;
    for (const auto& drop : s_.drops)
      out += "at " + decimal(drop.at_s, unit_) + ": a message of attempt "
             + std::to_string(drop.attempt)
             + (drop.lost ? " was lost, sent by " : " was dropped by ") + run_.name(drop.node)
             + " (" + std::string(trace::to_string(drop.why)) + ")\n";
    return out;
  }

  std::string ending() const { return s_.stuck.empty() ? "" : "stuck: " + s_.stuck + "\n"; }

  const run_trace& run_;
  const story& s_;
  time_unit unit_;
};

} // namespace

std::string story_text(const run_trace& run, const story& s) { return story_writer(run, s).text(); }

} // namespace skippipe::runtime
