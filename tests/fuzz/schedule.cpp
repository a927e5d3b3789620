// Instance and schedule readers on hostile text; what they accept must be safe to simulate.
#include "scheduler/check.hpp"
#include "scheduler/instance_json.hpp"
#include "scheduler/replan.hpp"
#include "scheduler/schedule_json.hpp"

#include <cstdlib>

using namespace skippipe;
using namespace skippipe::scheduler;

namespace {

instance known_instance() {
  instance x;
  x.stages = 3;
  x.stage_sizes = {1, 1, 1};
  x.path_length = 2;
  x.microbatches_per_origin = 2;
  x.nodes.assign(3, {"n", "x", 1, 2});
  x.link_s.assign(9, 1);
  return x;
}

instance with_routes(instance x) {
  x.routes = {{1}, {2}};
  return x;
}

/// What a schedule that runs may be, replanning must survive; half of its nodes are new ones.
void replan_from(const plan& running, const instance& known) {
  if (running.arrangement.size() != known.stages || running.paths.size() > 50)
    return;
  replan_request request{&running, {}, {}};
  for (const auto& nodes : running.arrangement)
    for (std::size_t i = 0; i < nodes.size(); ++i)
      request.new_id.push_back(request.new_id.size() < 2
                                   ? static_cast<node_id>(request.new_id.size())
                                   : replan_request::gone);
  planner_options options;
  options.time_limit_s = 0;
  replan_report report;
  const auto result = replan(known, request, options, report);
  if (const plan* p = std::get_if<plan>(&result); p && !check_plan(known, *p).empty())
    std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const instance known = known_instance(), routed = with_routes(known);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto read = parse_instance(text, "f");
  if (read.value.has_value() != read.problems.empty())
    std::abort();
  // What was read and written again reads as the same.
  if (read.value) {
    const std::string once = write_instance(*read.value);
    const auto again = parse_instance(once, "f");
    if (!again.value || write_instance(*again.value) != once)
      std::abort();
  }
  if (const auto schedule = parse_schedule(text, "s", known); schedule.value)
    check_plan(known, *schedule.value);
  std::vector<std::string> names;
  if (const auto running = parse_running(text, "r", names); running.value)
    for (const instance* problem : {&known, &routed})
      replan_from(*running.value, *problem);
  return 0;
}
