#include "runtime/trace/stuck.hpp"

#include "runtime/trace/story.hpp"

#include <algorithm>
#include <cstdio>
#include <map>

namespace skippipe::runtime {

namespace {

constexpr std::int64_t least_quiet_ns = 2'000'000'000;
constexpr int times_normal = 3;

std::string seconds_text(double seconds) {
  char text[40];
  std::snprintf(text, sizeof text, "%.3f s", seconds);
  return text;
}

/// The longest time for which a microbatch said nothing; `whole`: up to the commit, too.
std::int64_t longest_quiet_ns(const iteration_view& view, bool whole) {
  std::map<microbatch_id, std::int64_t> last;
  std::int64_t longest = 0;
  for (const auto& e : view.events) {
    if (e.microbatch == trace::no_microbatch)
      continue;
    const auto [at, first] = last.try_emplace(e.microbatch, view.begin_ns);
    longest = std::max(longest, e.time_ns - at->second);
    at->second = std::max(at->second, e.time_ns);
  }
  if (whole)
    for (const auto& [id, time_ns] : last)
      longest = std::max(longest, view.end_ns - time_ns);
  return longest;
}

} // namespace

stuck_report find_stuck(const run_trace& run, const iteration_view& view,
                        const iteration_view* before, std::int64_t now_ns) {
  const auto normal =
      before != nullptr ? longest_quiet_ns(*before, true) : longest_quiet_ns(view, false);
  const auto limit = std::max(least_quiet_ns, times_normal * normal);
  stuck_report report;
  report.limit_s = static_cast<double>(limit) / 1e9;
  for (const auto& [id, m] : view.microbatches) {
    const auto told = tell_story(run, view, id);
    const auto* s = std::get_if<story>(&told);
    if (s == nullptr || s->stuck.empty())
      continue;
    std::int64_t last = view.begin_ns;
    for (const auto& e : view.events)
      if (e.microbatch == id)
        last = std::max(last, e.time_ns);
    if (now_ns - last > limit)
      report.found.push_back({id, s->stuck, static_cast<double>(now_ns - last) / 1e9});
    else
      ++report.under_way;
  }
  return report;
}

std::string stuck_text(const iteration_view& view, const stuck_report& report) {
  const auto title = "iteration " + std::to_string(view.iteration) + ": ";
  const auto all = std::to_string(view.microbatches.size());
  const auto under_way = std::to_string(report.under_way);
  if (report.found.empty() && report.under_way == 0)
    return title + "nothing is stuck, all of its " + all + " microbatches are committed\n";
  if (report.found.empty())
    return title + "nothing is stuck; " + under_way + " of " + all
           + " microbatches are under way\n";
  std::string out = title + std::to_string(report.found.size()) + " of " + all
                    + " microbatches are stuck, quiet for more than " + seconds_text(report.limit_s)
                    + (report.under_way > 0 ? "; " + under_way + " are under way" : "") + "\n";
  for (const auto& one : report.found)
    out += "  microbatch " + std::to_string(one.microbatch) + ", quiet for "
           + seconds_text(one.quiet_s) + ": " + one.where + "\n";
  return out;
}

nlohmann::ordered_json stuck_json(const iteration_view& view, const stuck_report& report) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& one : report.found)
    list.push_back(
        {{"microbatch", one.microbatch}, {"where", one.where}, {"quiet_s", one.quiet_s}});
  return {{"iteration", view.iteration},
          {"microbatches", view.microbatches.size()},
          {"under_way", report.under_way},
          {"quiet_limit_s", report.limit_s},
          {"stuck", std::move(list)}};
}

} // namespace skippipe::runtime
