// A microbatch that is under way is not stuck, and a payload under way not lost.
#include "runtime/trace/chrome.hpp"
#include "runtime/trace/stuck.hpp"

#include "trace_pipeline.hpp"

#include <catch2/catch.hpp>

#include <sstream>

using namespace skippipe;
using namespace skippipe::runtime;
using namespace skippipe::test;

namespace {

constexpr std::int64_t second = 1'000'000'000, begin_ns = 1'000 * second,
                       cut_ns = begin_ns + second / 4;

/// Iteration 3 is committed; of 4 is known what happened before `cut_ns`.
run_trace cut_run(const std::filesystem::path& dir) {
  const auto plan = pipeline_plan();
  auto events = run_pipeline(plan, {}, 4, begin_ns).events;
  for (auto& node : events)
    std::erase_if(node, [](const trace::event& e) { return e.time_ns > cut_ns; });
  write_run(dir, plan, {run_pipeline(plan, {}, 3, begin_ns - 100 * second).events, events});
  return std::get<run_trace>(load_run_trace(dir));
}

} // namespace

TEST_CASE("stuck is who is quiet for longer than is normal", "[trace][stuck]") {
  temporary_folder dir;
  const auto run = cut_run(dir.path);
  const auto view = view_iteration(run, 4), before = view_iteration(run, 3);
  REQUIRE(view.microbatches.size() == 4);
  const auto early = find_stuck(run, view, &before, cut_ns + second / 10);
  CHECK(early.found.empty());
  CHECK(early.under_way == 4);
  CHECK(early.limit_s >= 2);
  CHECK(stuck_text(view, early)
        == "iteration 4: nothing is stuck; 4 of 4 microbatches are under way\n");
  const auto late =
      find_stuck(run, view, &before, cut_ns + static_cast<std::int64_t>(early.limit_s * 1e9) + 1);
  CHECK(late.found.size() == 4);
  CHECK(late.under_way == 0);
  CHECK(late.limit_s == early.limit_s);
  CHECK(stuck_text(view, late)
            .starts_with("iteration 4: 4 of 4 microbatches are stuck, quiet for more than "));
  CHECK(stuck_json(view, late)["stuck"].size() == 4);
  // A slow iteration before makes for more patience.
  auto slow = before;
  slow.end_ns += 100 * second;
  CHECK(find_stuck(run, view, &slow, cut_ns + 299 * second).found.empty());
}

TEST_CASE("a payload of a run that goes on is under way", "[trace][chrome]") {
  temporary_folder dir;
  const auto run = cut_run(dir.path);
  std::ostringstream now, later;
  const auto going_on = write_chrome_trace(run, now, cut_ns + second);
  CHECK(going_on.lost == 0);
  CHECK(going_on.under_way > 0);
  CHECK(now.str().find("\"under way\"") != std::string::npos);
  const auto over = write_chrome_trace(run, later, cut_ns + 60 * second);
  CHECK(over.lost == going_on.under_way);
  CHECK(over.under_way == 0);
  CHECK(over.transfers == going_on.transfers);
}
