// Measured costs: averages, what is derived from them, and when they are worth another plan.
#include "scheduler/cost_tracker.hpp"
#include "scheduler/drift_watch.hpp"
#include "scheduler/figures.hpp"
#include "scheduler/link_estimate.hpp"
#include "scheduler/planner.hpp"
#include "scheduler/random.hpp"
#include "tests/sanitized.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace skippipe;
using namespace skippipe::scheduler;

namespace {

/// Three stages of two nodes, all alike.
instance six_nodes() {
  instance x;
  x.name = "six";
  x.stages = 3;
  x.stage_sizes = {2, 2, 2};
  x.arrangement = {{0, 1}, {2, 3}, {4, 5}};
  for (int i = 0; i < 6; ++i)
    x.nodes.push_back({"n" + std::to_string(i), i < 3 ? "here" : "there", 1, 4});
  x.link_s.assign(36, 0);
  x.path_length = 3;
  x.microbatches_per_origin = 4;
  return x;
}

plan plan_of(const instance& problem) {
  planner_options options;
  options.time_limit_s = 10;
  options.max_iterations = 20000; // Repeatable, and about as good each time.
  return std::get<plan>(make_plan(problem, options));
}

constexpr task_costs second{1, 0.25, 1.5};

/// A job whose nodes are measured with noise, iteration by iteration.
struct drifting_job {
  instance problem = six_nodes();
  workload work{{1, 1, 1}, 0, {}};
  cost_tracker costs;
  drift_watch watch;
  plan running = plan_of(problem);
  random_source random{5};
  std::vector<double> speed = std::vector<double>(6, 1.0); ///< Seconds, of nominal ones.
  double noise = 0;
  int asked = 0, adopted = 0;

  void iterations(int count) {
    for (int i = 0; i < count; ++i) {
      for (node_id node = 0; node < 6; ++node) {
        const double f = speed[node] * (1 + noise * random.unit());
        costs.add_tasks(node, node / 2, {f, node < 2 ? f / 4 : 0, 1.5 * f});
      }
      const auto now = costs.applied_to(problem, work);
      switch (watch.look(now, running)) {
        case drift_watch::advice::plan:
          ++asked;
          watch.offer(plan_of(now));
          break;
        case drift_watch::advice::adopt:
          ++adopted;
          running = watch.take();
          break;
        case drift_watch::advice::nothing:
          break;
      }
    }
  }
};

} // namespace

TEST_CASE("an average forgets what happened once and follows what stays", "[scheduler][costs]") {
  steady_average average;
  CHECK_FALSE(average.known());
  average.add(2);
  CHECK(average.value() == 2);
  for (int i = 0; i < 10; ++i)
    average.add(2);
  average.add(50);
  average.add(2);
  average.add(2);
  CHECK(average.value() == 2);
  for (int i = 0; i < 10; ++i)
    average.add(4);
  CHECK(average.value() > 3.7);
  CHECK(average.value() <= 4);
  // A link that becomes 40 times slower is known to be within a few values.
  steady_average rate{steady_average::kind::rate};
  for (int i = 0; i < 10; ++i)
    rate.add(40);
  for (int i = 0; i < 8; ++i)
    rate.add(1);
  CHECK(rate.value() >= 1);
  CHECK(1 / rate.value() > 0.8);
}

TEST_CASE("measured costs replace nominal ones, derived ones the rest", "[scheduler][costs]") {
  const auto nominal = six_nodes();
  cost_tracker costs;
  const workload work{{4, 2, 1}, 0, {}};
  // Nothing measured: nothing changes.
  CHECK(costs.applied_to(nominal, work).node_stage_s.empty());
  CHECK(costs.applied_to(nominal, work).latency_s.empty());

  costs.add_tasks(0, 0, {4, 2, 8});
  costs.add_tasks(2, 1, {6, 0, 9});
  const auto now = costs.applied_to(nominal, work);
  CHECK(now.costs(0, 0).forward_s == 4);
  CHECK(now.costs(0, 0).loss_s == 2);
  CHECK(now.costs(0, 0).backward_s == 8);
  // Another stage of the same node, by its layers.
  CHECK(now.costs(0, 2).forward_s == 1);
  CHECK(now.costs(0, 2).backward_s == 2);
  CHECK(now.costs(2, 0).forward_s == 12);
  CHECK(now.costs(2, 0).backward_s == 18);
  // The head costs a node three times as slow three times as much, whatever it serves now.
  CHECK(now.costs(2, 0).loss_s == Approx(6));
  // A node that was not measured is between them.
  CHECK(now.costs(5, 2).forward_s >= 1);
  CHECK(now.costs(5, 2).forward_s <= 3);
  // At another stage the old figures say nothing.
  costs.add_tasks(2, 2, {5, 0, 5});
  CHECK(costs.applied_to(nominal, work).costs(2, 1).forward_s == 10);
  costs.forget(2);
  CHECK_FALSE(costs.tasks(2));
}

TEST_CASE("links that nobody measured are like those that somebody did", "[scheduler][costs]") {
  auto nominal = six_nodes();
  cost_tracker costs;
  costs.add_link(0, 1, {0.001, 1e9});
  costs.add_link(0, 3, {0.05, 1e7});
  costs.add_link(3, 0, {0.07, 2e7});
  costs.add_link(1, 4, {0.06, 0}); // Of this one only the latency.
  costs.add_link(2, 2, {5, 5});    // No link.
  const workload work{{1, 1, 1}, 1e7, {1, 2, 3}};
  const auto now = costs.applied_to(nominal, work);
  const auto at = [](node_id a, node_id b) { return a * 6 + b; };
  CHECK(now.link_s[at(0, 3)] == Approx(0.05 + 1));
  CHECK(now.link_s[at(3, 0)] == Approx(0.07 + 0.5));
  CHECK(now.link_s[at(0, 0)] == 0);
  CHECK(now.latency_s[at(1, 0)] == 0.001); // The other direction.
  CHECK(now.bandwidth_Bps[at(1, 0)] == 1e9);
  CHECK(now.latency_s[at(1, 2)] == 0.001); // The same locations.
  CHECK(now.bandwidth_Bps[at(1, 4)] == 1e7);
  CHECK(now.latency_s[at(4, 5)] >= 0.05); // Nothing within "there": what the ends are like.
  CHECK(now.bandwidth_Bps[at(4, 5)] <= 2e7);
  CHECK(now.sync_bytes == work.sync_bytes);
  for (std::size_t i = 0; i < 36; ++i)
    CHECK(now.bandwidth_Bps[i] > 0);
}

TEST_CASE("a link is as slow as the slower of its ends", "[scheduler][costs]") {
  const std::vector<node_spec> nodes(4); // Nowhere in particular.
  std::vector<link_figures> links(16);
  links[0 * 4 + 1] = {0.001, 1e9};
  links[2 * 4 + 3] = {0.1, 1e6};
  complete_links(nodes, links);
  for (const auto& [a, b] : {std::pair{0, 2}, {2, 0}, {1, 3}, {3, 1}}) {
    CHECK(links[a * 4 + b].latency_s == 0.1);
    CHECK(links[a * 4 + b].bandwidth_Bps == 1e6);
  }
}

TEST_CASE("noise changes no plan, and asks for few", "[scheduler][drift]") {
  for (const std::uint64_t seed : {1, 2, 3}) {
    drifting_job job;
    job.random = random_source{seed};
    job.noise = 0.4;
    job.iterations(1000 / one_case_in(10));
    CHECK(job.adopted == 0);
    CHECK(job.asked <= 10);
  }
}

TEST_CASE("a node that is half as fast from now on gets less to do, once", "[scheduler][drift]") {
  drifting_job job;
  job.noise = 0.2;
  job.iterations(50);
  REQUIRE(job.adopted == 0);
  job.speed[2] = 2;
  const auto before = job.running;
  job.iterations(40);
  CHECK(job.adopted == 1);
  const auto now = job.costs.applied_to(job.problem, job.work);
  CHECK(predicted_seconds(now, job.running) < 0.95 * predicted_seconds(now, before));
  job.iterations(300);
  CHECK(job.adopted == 1);
}

TEST_CASE("what comes and goes is not run after", "[scheduler][drift]") {
  drifting_job job;
  for (int i = 0; i < 100; ++i) {
    job.speed[2] = i % 2 == 0 ? 2 : 1;
    job.iterations(4);
  }
  CHECK(job.asked <= 400 / 20 + 1);
  CHECK(job.adopted <= 2);
}

TEST_CASE("a candidate must be better in a row of looks", "[scheduler][drift]") {
  const auto problem = six_nodes();
  const auto running = plan_of(problem);
  cost_tracker slow;
  for (node_id node = 0; node < 6; ++node)
    slow.add_tasks(node, node / 2, node == 2 ? task_costs{3, 0, 4.5} : second);
  const workload work{{1, 1, 1}, 0, {}};
  const auto now = slow.applied_to(problem, work);
  const auto better = plan_of(now);
  using advice = drift_watch::advice;

  drift_watch watch;
  REQUIRE(watch.look(problem, running) == advice::plan);
  watch.offer(better);
  CHECK(watch.look(now, running) == advice::nothing);
  CHECK(watch.look(now, running) == advice::nothing);
  CHECK(watch.gain() > 0.05);
  CHECK(watch.look(now, running) == advice::adopt);
  CHECK(watch.take().paths == better.paths);

  drift_watch doubtful;
  REQUIRE(doubtful.look(problem, running) == advice::plan);
  doubtful.offer(better);
  CHECK(doubtful.look(now, running) == advice::nothing);
  CHECK(doubtful.look(problem, running) == advice::nothing); // No better: dropped.
  for (int i = 0; i < 10; ++i)
    CHECK(doubtful.look(now, running) == advice::nothing);
  // Nothing is asked for while a plan is being made, nor before the pause is over.
  drift_watch patient;
  REQUIRE(patient.look(problem, running) == advice::plan);
  for (int i = 0; i < 50; ++i)
    CHECK(patient.look(now, running) == advice::nothing);
  patient.withdraw();
  CHECK(patient.look(now, running) == advice::plan);
  // A plan made in haste is reason enough.
  patient.withdraw();
  CHECK(patient.look(now, running) == advice::nothing);
  patient.restart();
  CHECK(patient.look(now, running) == advice::plan);
}

TEST_CASE("a plan made in haste gives way to one that is a little better", "[scheduler][drift]") {
  const auto running = plan_of(six_nodes());
  cost_tracker slow;
  for (node_id node = 0; node < 6; ++node)
    slow.add_tasks(node, node / 2, node == 2 ? task_costs{3, 0, 4.5} : second);
  const auto now = slow.applied_to(six_nodes(), {{1, 1, 1}, 0, {}});
  const auto better = plan_of(now);
  using advice = drift_watch::advice;
  drift_options options;
  options.gain = 0.9; // More than any plan saves.
  options.confirm = 1;
  options.pause = 0;
  drift_watch watch{options};
  REQUIRE(watch.look(now, running) == advice::plan);
  watch.offer(better);
  CHECK(watch.look(now, running) == advice::nothing);
  watch.restart();
  REQUIRE(watch.look(now, running) == advice::plan);
  watch.offer(better);
  CHECK(watch.look(now, running) == advice::adopt);
  CHECK(watch.take().paths == better.paths);
  // Once only.
  watch.offer(better);
  CHECK(watch.look(now, running) == advice::nothing);
}
