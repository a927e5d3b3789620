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
