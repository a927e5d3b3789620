#include "runtime/trace/stuck.hpp"

#include "runtime/trace/story.hpp"

#include <algorithm>
#include <cstdio>

namespace skippipe::runtime {

std::vector<stuck_microbatch> find_stuck(const run_trace& run, const iteration_view& view) {
  std::vector<stuck_microbatch> found;
  for (const auto& [id, m] : view.microbatches) {
    const auto told = tell_story(run, view, id);
    const auto* s = std::get_if<story>(&told);
    if (s == nullptr || s->stuck.empty())
      continue;
    std::int64_t last = view.begin_ns;
    for (const auto& e : view.events)
      if (e.microbatch == id)
        last = std::max(last, e.time_ns);
    const auto now = run.events.empty() ? last : run.events.back().time_ns;
    found.push_back({id, s->stuck, static_cast<double>(now - last) / 1e9});
  }
  return found;
}

std::string stuck_text(const iteration_view& view, const std::vector<stuck_microbatch>& found) {
  const auto title = "iteration " + std::to_string(view.iteration);
  if (found.empty())
    return title + ": nothing is stuck, all of its " + std::to_string(view.microbatches.size())
           + " microbatches are committed\n";
  std::string out = title + ": " + std::to_string(found.size()) + " of "
                    + std::to_string(view.microbatches.size())
                    + " microbatches are not committed\n";
  for (const auto& one : found) {
    char quiet[40];
    std::snprintf(quiet, sizeof quiet, "%.3f s", one.quiet_s);
    out += "  microbatch " + std::to_string(one.microbatch) + ", quiet for " + quiet + ": "
           + one.where + "\n";
  }
  return out;
}

nlohmann::ordered_json stuck_json(const iteration_view& view,
                                  const std::vector<stuck_microbatch>& found) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& one : found)
    list.push_back(
        {{"microbatch", one.microbatch}, {"where", one.where}, {"quiet_s", one.quiet_s}});
  return {{"iteration", view.iteration},
          {"microbatches", view.microbatches.size()},
          {"stuck", std::move(list)}};
}

} // namespace skippipe::runtime
