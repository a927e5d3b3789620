// The actors' pure parts: task queue (R4), credits, ledger (R5), norm guard (R13).
#include "actors/credit_window.hpp"
#include "actors/ledger.hpp"
#include "actors/norm_guard.hpp"
#include "actors/task_queue.hpp"

#include <catch2/catch.hpp>

#include <limits>

using namespace skippipe;
using namespace skippipe::actors;
using scheduler::task_kind;

namespace {

constexpr auto F = task_kind::forward;
constexpr auto B = task_kind::backward;

std::vector<node_task> order(std::initializer_list<std::pair<int, task_kind>> tasks) {
  std::vector<node_task> result;
  for (auto [id, kind] : tasks)
    result.push_back({static_cast<microbatch_id>(id), kind, 9});
  return result;
}

/// One after the other, each as long as it says, without a pause.
std::vector<node_task> timed(std::vector<node_task> tasks, std::vector<std::int64_t> lasting) {
  std::int64_t due = 0;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    tasks[i].due_ns = due;
    tasks[i].lasts_ns = lasting[i];
    due += lasting[i];
  }
  return tasks;
}

} // namespace

TEST_CASE("tasks start in planned order when all are ready", "[actors][queue][R4]") {
  task_queue queue{order({{0, F}, {1, F}, {0, B}, {2, F}, {1, B}, {2, B}}), 3};
  for (std::size_t i : {5u, 3u, 2u, 4u, 1u, 0u})
    if (queue.task(i).kind == F)
      queue.make_ready(i);
  CHECK(queue.start_next() == 0u);
  CHECK(queue.start_next() == 1u);
  CHECK(queue.start_next() == 3u); // The third slot lies beyond the planned peak of two.
  CHECK(queue.planned_peak() == 2);
  CHECK(queue.held() == 3);
}

TEST_CASE("no forward starts without a slot", "[actors][queue][R4]") {
  task_queue queue{order({{0, F}, {0, B}, {1, F}, {1, B}}), 1};
  queue.make_ready(0);
  queue.make_ready(2);
  CHECK(queue.start_next() == 0u);
  CHECK(queue.start_next() == std::nullopt);
  queue.finish(0);
  queue.make_ready(1);
  CHECK(queue.start_next() == 1u);
  CHECK(queue.start_next() == std::nullopt); // The backward still runs.
  queue.finish(1);
  CHECK(queue.start_next() == 2u);
}

TEST_CASE("a forward overtakes only beyond the planned peak, one slot per overtaken one",
          "[actors][queue][R4]") {
  // Planned peak 2, memory 3: one spare slot.
  const auto planned = order({{0, F}, {1, F}, {0, B}, {1, B}, {2, F}, {3, F}, {2, B}, {3, B}});
  task_queue queue{planned, 3};
  queue.make_ready(4);
  queue.make_ready(1);
  CHECK(queue.start_next() == 1u);           // Overtakes forward 0.
  CHECK(queue.start_next() == std::nullopt); // Forward 2 would overtake forward 0 on the same slot.
  queue.make_ready(0);
  CHECK(queue.start_next() == 0u);
  CHECK(queue.start_next() == 4u); // In order now.
  CHECK(queue.held() == 3);

  task_queue tight{planned, 2};
  tight.make_ready(1);
  CHECK(tight.start_next() == std::nullopt); // No slot beyond the peak.
}

TEST_CASE("a task waits a moment for one planned earlier that is about to come",
          "[actors][queue][R4]") {
  // Due at 0, 800 and 1600 after the iteration began, at 10'000.
  task_queue queue{timed(order({{0, F}, {1, F}, {2, F}}), {800, 800, 800}), 5};
  queue.began(10'000);
  CHECK_FALSE(queue.wait_until(10'000)); // Nothing is ready.
  queue.make_ready(0);
  CHECK_FALSE(queue.wait_until(10'000)); // Nothing is planned before.
  CHECK(queue.start_next() == 0u);
  queue.started_at(0, 10'300); // 300 late, and so is likely what follows: due at 11'100.
  queue.make_ready(2);
  CHECK_FALSE(queue.wait_until(10'499)); // Too long: over three quarters of what task 2 lasts.
  CHECK(queue.wait_until(10'500) == 11'100);
  CHECK(queue.wait_until(11'099) == 11'100);
  CHECK_FALSE(queue.wait_until(11'100)); // Long enough, and not once more.
  CHECK_FALSE(queue.wait_until(11'101));

  task_queue late{timed(order({{0, F}, {1, F}, {2, F}}), {800, 800, 800}), 5};
  late.began(0);
  late.make_ready(1);
  CHECK(late.wait_until(50) == 320); // What is due is often two fifths late.
  CHECK_FALSE(late.wait_until(320));
  late.make_ready(0);
  CHECK(late.start_next() == 0u); // In planned order when it has come.

  task_queue unknown{order({{0, F}, {1, F}}), 4};
  unknown.began(0);
  unknown.make_ready(1);
  CHECK_FALSE(unknown.wait_until(0)); // The plan does not say when anything is due.
}

TEST_CASE("what cannot start waits for nobody", "[actors][queue][R4]") {
  task_queue queue{timed(order({{0, F}, {0, B}, {1, F}}), {800, 800, 800}), 1};
  queue.began(0);
  queue.make_ready(0);
  CHECK(queue.start_next() == 0u);
  queue.started_at(0, 0);
  queue.make_ready(2);
  CHECK_FALSE(queue.wait_until(790)); // No slot for it before the backward in any case.
  CHECK(queue.start_next() == std::nullopt);
}

TEST_CASE("credits go out in planned order and stay within their budget", "[actors][credits][R4]") {
  const auto planned = order({{3, F}, {1, F}, {3, B}, {2, F}, {1, B}, {2, B}});
  credit_window window{planned, 0, 2};
  auto first = window.grant();
  REQUIRE(first.size() == 2);
  CHECK(first[0].id == 3);
  CHECK(first[1].id == 1);
  CHECK(window.grant().empty());
  window.started();
  REQUIRE(window.grant().size() == 1);
  CHECK(window.grant().empty());
  credit_window own{planned, 9, 2}; // Inputs from the node itself need none.
  CHECK(own.grant().empty());
}

TEST_CASE("the ledger notices what is missing, doubled or unplanned", "[actors][ledger][R5]") {
  scheduler::plan plan;
  plan.arrangement = {{0}, {1, 2}};
  plan.paths = {{0, 0, {{1, 1}}}, {1, 0, {{1, 2}}}};
  const auto report = [](node_id node, stage_id stage, std::vector<microbatch_id> ids) {
    reduced r;
    r.node = node;
    r.stage = stage;
    r.contributions = std::move(ids);
    return r;
  };
  ledger book{plan};
  book.add(report(0, 0, {0, 1}));
  book.add(report(1, 1, {0}));
  CHECK(book.imbalance().find("microbatch 1 was not added") != std::string::npos);
  book.add(report(2, 1, {1}));
  CHECK(book.imbalance() == "");
  book.add(report(1, 1, {0, 1}));
  CHECK(book.imbalance().find("microbatch 1 was added twice") != std::string::npos);
  book.add(report(1, 1, {0, 5}));
  CHECK(book.imbalance().find("against the plan") != std::string::npos);
}

TEST_CASE("the norm guard names the stage that cannot be right", "[actors][guard][R13]") {
  norm_guard guard;
  const std::map<stage_id, double> fine{{0, 1.0}, {1, 4.0}};
  CHECK(guard.suspect({{0, 1.0}, {1, std::numeric_limits<double>::quiet_NaN()}}) == stage_id{1});
  CHECK_FALSE(guard.suspect({{0, 1e30}, {1, 1.0}})); // Nothing to compare with yet.
  for (std::size_t i = 0; i < norm_guard::least; ++i)
    guard.remember(fine);
  CHECK_FALSE(guard.suspect({{0, 99.0 * 99.0}, {1, 4.0}}));
  CHECK(guard.suspect({{0, 101.0 * 101.0}, {1, 4.0}}) == stage_id{0});
}
