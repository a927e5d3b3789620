// Tiny problems, solved by trying everything, against the planner and the bounds.
#include "scheduler/arrangement.hpp"
#include "scheduler/bounds.hpp"
#include "scheduler/check.hpp"
#include "scheduler/figures.hpp"
#include "scheduler/planner.hpp"
#include "scheduler/random.hpp"
#include "scheduler/reduction.hpp"
#include "scheduler/simulator.hpp"
#include "tests/sanitized.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <limits>

using namespace skippipe;
using namespace skippipe::scheduler;

namespace {

/// Two origins or one, up to three other nodes, two microbatches: few enough to try all.
instance tiny_instance(random_source& random) {
  instance x;
  x.name = "tiny";
  x.stages = 2 + random.below(2);
  for (stage_id s = 0; s < x.stages; ++s)
    x.stage_sizes.push_back(1 + (s < 2 ? random.below(2) : 0));
  std::uint32_t count = 0;
  for (const std::uint32_t size : x.stage_sizes)
    count += size;
  for (node_id n = 0; n < count; ++n)
    x.nodes.push_back({"n", "x", 0.5 + random.unit() * 2, 1 + random.below(2)});
  for (std::uint32_t i = 0; i < count * count; ++i)
    x.link_s.push_back(i % (count + 1) == 0 ? 0 : random.unit() * 2);
  x.path_length = 2 + random.below(x.stages - 1);
  x.microbatches_per_origin = 2 / x.stage_sizes[0];
  if (random.below(3) != 0)
    x.arrangement = simple_arrangement(x);
  if (random.below(4) == 0)
    for (std::uint32_t i = 0; i < count * x.stages; ++i)
      x.node_stage_s.push_back({0.5 + random.unit(), random.unit(), 0.5 + 2 * random.unit()});
  return x;
}

/// The best over all arrangements, all paths and all orders of every node.
struct optimum {
  double makespan_s = std::numeric_limits<double>::infinity();
  double iteration_s = std::numeric_limits<double>::infinity(); ///< With reductions and the commit.
};

class brute_force {
public:
  explicit brute_force(const instance& x) : x_(x) {}

  optimum run() {
    if (x_.arrangement.empty()) {
      arrangement_.resize(x_.stages);
      arrange(0);
    } else {
      arrangement_ = x_.arrangement;
      choose_paths();
    }
    return best_;
  }

private:
  void arrange(node_id next) {
    if (next == x_.nodes.size())
      return choose_paths();
    for (stage_id s = 0; s < x_.stages; ++s) {
      if (arrangement_[s].size() == x_.stage_sizes[s])
        continue;
      arrangement_[s].push_back(next);
      arrange(next + 1);
      arrangement_[s].pop_back();
    }
  }

  void choose_paths() {
    paths_.clear();
    for (const node_id o : arrangement_[0])
      for (std::uint32_t i = 0; i < x_.microbatches_per_origin; ++i)
        paths_.push_back({static_cast<microbatch_id>(paths_.size()), o, {}});
    choose_path(0);
  }

  void choose_path(std::size_t i) {
    if (i == paths_.size()) {
      plan p;
      p.arrangement = arrangement_;
      p.paths = paths_;
      choose_order(p);
      return;
    }
    extend(i);
  }

  void extend(std::size_t i) {
    if (paths_[i].hops.size() + 1 == x_.path_length) {
      choose_path(i + 1);
      return;
    }
    for (stage_id s = 1; s < x_.stages; ++s)
      for (const node_id n : arrangement_[s]) {
        paths_[i].hops.push_back({s, n});
        extend(i);
        paths_[i].hops.pop_back();
      }
  }

  void choose_order(plan& p) {
    p.order.assign(x_.nodes.size(), {});
    for (const path& q : p.paths)
      for (std::uint32_t s = 0; s < step_count(q); ++s)
        p.order[step_node(q, s)].push_back(
            {q.microbatch, step_kind(static_cast<std::uint32_t>(q.hops.size()), s)});
    // R2 and R3 do not depend on the order: one look per choice of paths is enough.
    for (const std::string& line : check_plan(x_, p))
      if (line.rfind("microbatch", 0) == 0 || line.rfind("balance", 0) == 0)
        return;
    permute(p, 0);
  }

  static bool sooner(const planned_task& a, const planned_task& b) {
    return a.microbatch != b.microbatch ? a.microbatch < b.microbatch : a.kind < b.kind;
  }

  void permute(plan& p, node_id n) {
    if (n == p.order.size()) {
      const simulation timed = simulate(x_, p.paths, p.order);
      if (timed.violations.empty()) {
        best_.makespan_s = std::min(best_.makespan_s, timed.makespan_s);
        if (reduces(x_))
          best_.iteration_s = std::min(best_.iteration_s, predicted_seconds(x_, p));
      }
      return;
    }
    auto& tasks = p.order[n];
    std::sort(tasks.begin(), tasks.end(), sooner);
    do {
      if (possible(tasks))
        permute(p, n + 1);
    } while (std::next_permutation(tasks.begin(), tasks.end(), sooner));
  }

  /// F before L before B of the same microbatch.
  static bool possible(const std::vector<planned_task>& tasks) {
    for (std::size_t i = 0; i < tasks.size(); ++i)
      for (std::size_t j = i + 1; j < tasks.size(); ++j)
        if (tasks[i].microbatch == tasks[j].microbatch && tasks[j].kind < tasks[i].kind)
          return false;
    return true;
  }

  const instance& x_;
  std::vector<std::vector<node_id>> arrangement_;
  std::vector<path> paths_;
  optimum best_;
};

constexpr int share_of_cases = one_case_in(5);

} // namespace

TEST_CASE("tiny problems are solved to the optimum, which no bound exceeds",
          "[scheduler][search]") {
  random_source random(41);
  int solved = 0;
  for (int i = 0; i < 250 / share_of_cases; ++i) {
    const instance x = tiny_instance(random);
    planner_options options;
    options.time_limit_s = 600; // the steps end it
    options.max_iterations = 2000;
    const auto result = make_plan(x, options);
    const double optimum = brute_force(x).run().makespan_s;
    INFO("instance " << i);
    const plan* p = std::get_if<plan>(&result);
    if (p == nullptr)
      continue;
    ++solved;
    REQUIRE(p->makespan_s == Approx(optimum).epsilon(1e-9));
    REQUIRE(lower_bound(x).best() <= optimum * (1 + 1e-9));
  }
  CHECK(solved >= 200 / share_of_cases);
}

TEST_CASE("no bound of whole iterations exceeds the best of tiny problems", "[scheduler][search]") {
  random_source random(43);
  double closest = 0;
  for (int i = 0; i < 100 / share_of_cases; ++i) {
    instance x = tiny_instance(random);
    for (stage_id s = 0; s < x.stages; ++s)
      x.sync_bytes.push_back(4 * random.unit());
    for (std::size_t k = 0; k < x.link_s.size(); ++k) {
      x.latency_s.push_back(random.unit());
      x.bandwidth_Bps.push_back(0.5 + random.unit());
    }
    x.commit_s = random.unit();
    const double optimum = brute_force(x).run().iteration_s;
    if (optimum == std::numeric_limits<double>::infinity())
      continue;
    const lower_bounds bounds = lower_bound(x);
    INFO("instance " << i << ", optimum " << optimum);
    REQUIRE(bounds.iteration_s <= optimum * (1 + 1e-9));
    REQUIRE(bounds.iteration_s >= bounds.best() + x.commit_s);
    closest = std::max(closest, bounds.iteration_s / optimum);
  }
  CHECK(closest > 0.999); // It is reached, too.
}
