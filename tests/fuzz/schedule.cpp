// Instance and schedule readers on hostile text; what they accept must be safe to simulate.
#include "scheduler/check.hpp"
#include "scheduler/instance_json.hpp"
#include "scheduler/schedule_json.hpp"

#include <cstdlib>

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

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const instance known = known_instance();
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
  return 0;
}
