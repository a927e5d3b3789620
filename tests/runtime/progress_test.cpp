// The lines that a person sees while a job runs.
#include "runtime/progress.hpp"

#include <catch2/catch.hpp>

using namespace skippipe;
using namespace skippipe::runtime;

namespace {

actors::iteration_report report_of(iteration_no n) {
  actors::iteration_report report;
  report.iteration = n;
  report.loss = 2.5;
  report.tokens = 1000;
  report.iteration_s = 2;
  report.microbatches = 8;
  report.skipped_microbatches = 6;
  report.swapped_microbatches = 2;
  return report;
}

} // namespace

TEST_CASE("durations read as clocks", "[progress]") {
  CHECK(duration_text(0) == "0:00");
  CHECK(duration_text(59.6) == "1:00");
  CHECK(duration_text(3599) == "59:59");
  CHECK(duration_text(3723) == "1:02:03");
  CHECK(duration_text(-5) == "0:00");
  CHECK(duration_text(1e300).size() < 20);
}

TEST_CASE("the bar shows iteration, loss, speed, time left and shares", "[progress]") {
  progress_view view{0, 100};
  view.update(report_of(25));
  const auto bar = view.bar(120);
  CAPTURE(bar);
  CHECK(bar.size() <= 120);
  for (const auto* part :
       {"25/100", "loss 2.500", "500 tokens/s", "ETA 2:30", "skipped 75%", "swapped 25%"})
    CHECK(bar.find(part) != std::string::npos);
  const auto filled = std::count(bar.begin(), bar.end(), '#');
  const auto left = std::count(bar.begin(), bar.begin() + 40, '.');
  CHECK(filled * 3 == Approx(static_cast<double>(left)).margin(3)); // A quarter is done.
  CHECK(view.line().find("iteration 25/100  loss 2.5000  500 tokens/s  ETA 2:30") == 0);
}

TEST_CASE("the bar fits any terminal", "[progress]") {
  progress_view view{0, 100};
  CHECK(view.bar(200).find("ETA -:--") != std::string::npos);
  view.update(report_of(100));
  for (std::size_t width = 0; width < 200; ++width) {
    const auto bar = view.bar(width);
    CHECK(bar.size() <= width);
    CHECK(bar.find('\n') == std::string::npos);
  }
  CHECK(view.bar(200).find("ETA 0:00") != std::string::npos);
}

TEST_CASE("the time left is real where time is emulated, the speed is not", "[progress]") {
  progress_view view{0, 100, 10};
  view.update(report_of(40)); // 60 more of 2 emulated seconds.
  CHECK(view.line().find("500 tokens/s  ETA 0:12") != std::string::npos);
}

TEST_CASE("speed is smoothed after the first iteration", "[progress]") {
  progress_view view{0, 100};
  view.update(report_of(1));
  CHECK(view.tokens_per_s() == Approx(500));
  auto slow = report_of(2);
  slow.iteration_s = 20;
  view.update(slow);
  CHECK(view.tokens_per_s() == Approx(455));
}
