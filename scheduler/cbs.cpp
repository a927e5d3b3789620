// Conflict-based search (paper, section on collision-aware scheduling), made correct: what it
// finds is always put through the timetable, so memory and balance hold.
#include "scheduler/arrangement.hpp"
#include "scheduler/check.hpp"
#include "scheduler/path_rules.hpp"
#include "scheduler/shortest.hpp"
#include "scheduler/simulator.hpp"
#include "scheduler/strategies.hpp"
#include "scheduler/timetable.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <optional>
#include <queue>

namespace skippipe::scheduler {

namespace {

/// Times when one microbatch must not run on a node.
struct ban {
  node_id node;
  double from, until;
};

struct timed_path {
  path way;
  placement times;
};

/// A vertex of the conflict tree: bans so far, the paths that obey them, and what still clashes.
struct vertex {
  std::vector<std::vector<ban>> bans;
  std::vector<timed_path> paths;
  std::uint32_t clashes = 0;
  double finish = 0;
};

struct clash {
  microbatch_id first, second;
  ban first_must_not, second_must_not;
};

class conflict_search {
public:
  conflict_search(const instance& problem, const std::vector<std::vector<node_id>>& arrangement,
                  const std::vector<route>& routes, const std::vector<node_id>& origins)
      : problem_(problem), arrangement_(arrangement), routes_(routes), origins_(origins) {}

  std::vector<timed_path> run(std::chrono::steady_clock::time_point deadline,
                              std::uint64_t most_vertices) {
    auto root = std::make_shared<vertex>();
    root->bans.resize(routes_.size());
    for (microbatch_id mb = 0; mb < routes_.size(); ++mb)
      root->paths.push_back(plan_one(mb, root->bans[mb]));
    std::optional<clash> found = assess(*root);
    using entry = std::shared_ptr<vertex>;
    const auto worse = [](const entry& a, const entry& b) {
      return a->clashes != b->clashes ? a->clashes > b->clashes : a->finish > b->finish;
    };
    std::priority_queue<entry, std::vector<entry>, decltype(worse)> open(worse);
    open.push(root);
    entry best = root;
    for (std::uint64_t i = 0; i < most_vertices && !open.empty(); ++i) {
      entry v = open.top();
      open.pop();
      if (!worse(v, best))
        best = v;
      if (v->clashes == 0 || std::chrono::steady_clock::now() > deadline)
        break;
      found = assess(*v);
      for (const bool second : {false, true}) {
        auto child = std::make_shared<vertex>(*v);
        const microbatch_id mb = second ? found->second : found->first;
        child->bans[mb].push_back(second ? found->second_must_not : found->first_must_not);
        child->paths[mb] = plan_one(mb, child->bans[mb]);
        assess(*child);
        open.push(std::move(child));
      }
    }
    return best->paths;
  }

private:
  static double earliest(const std::vector<ban>& bans, node_id n, double ready, double seconds) {
    for (bool again = true; again;) {
      again = false;
      for (const ban& b : bans)
        if (b.node == n && b.from < ready + seconds && b.until > ready) {
          ready = b.until;
          again = true;
        }
    }
    return ready;
  }

  /// The best nodes and times of one microbatch under its own bans, the others not regarded.
  timed_path plan_one(microbatch_id mb, const std::vector<ban>& bans) const {
    const std::vector<hop> usual =
        shortest_nodes(problem_, arrangement_, origins_[mb], routes_[mb]);
    timed_path best = time_one({mb, origins_[mb], usual}, bans);
    // A ban may be better dodged than waited for: any other single node instead.
    if (!bans.empty())
      for (std::size_t h = 0; h < usual.size(); ++h)
        for (const node_id n : arrangement_[usual[h].stage]) {
          path p{mb, origins_[mb], usual};
          p.hops[h].node = n;
          timed_path other = time_one(std::move(p), bans);
          if (other.times.finish() < best.times.finish())
            best = std::move(other);
        }
    return best;
  }

  timed_path time_one(path p, const std::vector<ban>& bans) const {
    const std::uint32_t steps = step_count(p);
    timed_path result{std::move(p), {std::vector<double>(steps), std::vector<double>(steps)}};
    double ready = 0;
    for (std::uint32_t s = 0; s < steps; ++s) {
      const node_id n = step_node(result.way, s);
      const double seconds = step_seconds(problem_, result.way, s);
      if (s > 0)
        ready += problem_.link(step_node(result.way, s - 1), n);
      ready = earliest(bans, n, ready, seconds);
      result.times.start[s] = ready;
      result.times.end[s] = ready += seconds;
    }
    return result;
  }

  /// Counts what clashes and returns the clash that happens first.
  std::optional<clash> assess(vertex& v) const {
    struct item {
      double start, end, until; ///< until: the end of the hold that an F begins, else 0.
      microbatch_id mb;
    };
    std::vector<std::vector<item>> nodes(problem_.nodes.size());
    v.clashes = 0;
    v.finish = 0;
    for (const timed_path& p : v.paths) {
      const std::uint32_t steps = step_count(p.way), hops = (steps - 3) / 2;
      v.finish = std::max(v.finish, p.times.finish());
      for (std::uint32_t s = 0; s < steps; ++s)
        nodes[step_node(p.way, s)].push_back({p.times.start[s], p.times.end[s],
                                              s <= hops ? p.times.end[steps - 1 - s] : 0,
                                              p.way.microbatch});
    }
    std::optional<clash> result;
    double when = std::numeric_limits<double>::infinity();
    for (node_id n = 0; n < nodes.size(); ++n) {
      auto& items = nodes[n];
      std::sort(items.begin(), items.end(), [](const item& a, const item& b) {
        return a.start != b.start ? a.start < b.start : a.mb < b.mb;
      });
      std::vector<double> holds;
      for (std::size_t i = 0; i < items.size(); ++i) {
        const item& b = items[i];
        if (i > 0 && items[i - 1].end > b.start && items[i - 1].mb != b.mb) {
          const item& a = items[i - 1];
          ++v.clashes;
          if (b.start < when) {
            when = b.start;
            result = clash{a.mb, b.mb, {n, b.start, b.end}, {n, a.start, a.end}};
          }
        }
        if (b.until == 0)
          continue;
        holds.erase(
            std::remove_if(holds.begin(), holds.end(), [&](double end) { return end <= b.start; }),
            holds.end());
        if (holds.size() >= problem_.nodes[n].memory) {
          ++v.clashes;
          const double freed = *std::min_element(holds.begin(), holds.end());
          if (b.start < when) { // Only the newcomer can give way: it comes once a slot is free.
            when = b.start;
            result = clash{b.mb, b.mb, {n, b.start, freed}, {n, 0, freed}};
          }
        }
        holds.push_back(b.until);
      }
    }
    return result;
  }

  const instance& problem_;
  const std::vector<std::vector<node_id>>& arrangement_;
  const std::vector<route>& routes_;
  const std::vector<node_id>& origins_;
};

} // namespace

plan plan_cbs(const instance& problem, const planner_options& options) {
  const auto deadline = std::chrono::steady_clock::now()
                        + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                            std::chrono::duration<double>(options.time_limit_s));
  auto arrangement = near_arrangement(problem);
  const auto count = microbatch_count(problem, static_cast<std::uint32_t>(arrangement[0].size()));
  random_source random(options.seed);
  const auto routes =
      problem.routes.empty() ? *balanced_routes(rules_of(problem), count, random) : problem.routes;
  const auto origins = origins_in_turn(arrangement[0], count);
  auto found = conflict_search(problem, arrangement, routes, origins)
                   .run(deadline, options.max_iterations > 0 ? options.max_iterations : 2000);
  std::stable_sort(found.begin(), found.end(), [](const timed_path& a, const timed_path& b) {
    return a.times.start[0] < b.times.start[0];
  });
  timetable table(problem);
  std::vector<path> paths(count);
  for (const timed_path& p : found) {
    table.insert(p.way, table.fit(p.way));
    paths[p.way.microbatch] = p.way;
  }
  return finish_plan(problem, "cbs", std::move(arrangement), std::move(paths), table.order());
}

} // namespace skippipe::scheduler
