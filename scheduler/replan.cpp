#include "scheduler/replan.hpp"

#include "scheduler/arrangement_search.hpp"
#include "scheduler/dispatch.hpp"
#include "scheduler/figures.hpp"
#include "scheduler/kept_paths.hpp"
#include "scheduler/lanes.hpp"
#include "scheduler/repair.hpp"
#include "scheduler/search.hpp"
#include "scheduler/simulator.hpp"
#include "scheduler/strategies.hpp"
#include "scheduler/timetable.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace skippipe::scheduler {

namespace {

using clock = std::chrono::steady_clock;

constexpr double never = 1e18; ///< The start of a path that was not running.

clock::duration share_of_limit(const planner_options& options, double share) {
  return std::chrono::duration_cast<clock::duration>(
      std::chrono::duration<double>(share * options.time_limit_s));
}

std::vector<stage_id> stages_of(const instance& problem,
                                const std::vector<std::vector<node_id>>& arrangement) {
  std::vector<stage_id> result(problem.nodes.size(), 0);
  for (stage_id s = 0; s < arrangement.size(); ++s)
    for (const node_id n : arrangement[s])
      result[n] = s;
  return result;
}

/// Replans for one arrangement.
class replanner {
public:
  replanner(const instance& problem, const replan_request& request, const planner_options& options,
            clock::time_point begin, const std::vector<std::vector<node_id>>& arrangement)
      : problem_(problem), request_(request), old_(*request.running), options_(options),
        begin_(begin), arrangement_(arrangement), stage_of_(stages_of(problem, arrangement)) {}

  /// `lane` tells walks of one arrangement apart.
  plan_result run(unsigned lane);
  replan_report& report() { return report_; }

private:
  clock::time_point after(double share) const { return begin_ + share_of_limit(options_, share); }
  node_id now(node_id old) const { return request_.now(old, problem_.nodes.size()); }

  plan_result afresh(unsigned lane);
  bool gather();
  plan repaired();
  plan on_the_clock(const plan& first) const;
  plan walk(const plan& first, unsigned lane) const;
  void list_moves(const plan& made);

  const instance& problem_;
  const replan_request& request_;
  const plan& old_;
  const planner_options& options_;
  clock::time_point begin_;
  const std::vector<std::vector<node_id>>& arrangement_;
  std::vector<stage_id> stage_of_;
  replan_report report_;
  std::vector<kept_path> paths_;
  std::vector<std::uint8_t> frozen_; ///< Per microbatch of the new plan.
};

/// No path can be kept, and so what is in flight is lost, too; but nodes stay where they are.
plan_result replanner::afresh(unsigned lane) {
  report_ = {};
  report_.lost = request_.in_flight;
  planner_options rest = options_;
  rest.threads = 1;
  rest.seed += lane;
  rest.time_limit_s = std::max(0.0, std::chrono::duration<double>(after(1) - clock::now()).count());
  instance still = problem_;
  still.arrangement = arrangement_;
  plan_result result = make_plan(still, rest);
  if (const plan* made = std::get_if<plan>(&result))
    list_moves(*made);
  return result;
}

/// The running paths under the new ids; false when they are of another length.
bool replanner::gather() {
  const std::set<microbatch_id> in_flight(request_.in_flight.begin(), request_.in_flight.end());
  // The place of a microbatch in its origin's order stands for its start.
  std::map<microbatch_id, double> start;
  for (const auto& tasks : old_.order)
    for (std::size_t i = 0; i < tasks.size(); ++i)
      if (tasks[i].kind == task_kind::loss)
        start[tasks[i].microbatch] = static_cast<double>(i);
  for (const path& p : old_.paths) {
    if (p.hops.size() + 1 != problem_.path_length)
      return false;
    kept_path kept{p, start[p.microbatch], in_flight.count(p.microbatch) > 0, false, false};
    kept.way.origin = now(p.origin);
    bool gone = kept.way.origin == replan_request::gone || stage_of_[kept.way.origin] != 0;
    for (hop& h : kept.way.hops) {
      const node_id n = now(h.node);
      if (n == replan_request::gone || stage_of_[n] != h.stage) {
        gone = true;
        h.node = arrangement_[h.stage].front();
      } else {
        h.node = n;
      }
    }
    if (gone && kept.frozen)
      report_.lost.push_back(p.microbatch);
    kept.frozen &= !gone;
    kept.broken = kept.changed = gone;
    paths_.push_back(std::move(kept));
  }
  return true;
}

/// A valid plan: whole paths keep their order on every node, the others go into the gaps that this leaves.
plan replanner::repaired() {
  std::vector<path> whole;
  std::set<microbatch_id> whole_ids;
  for (const kept_path& p : paths_)
    if (!p.broken) {
      whole.push_back(p.way);
      whole_ids.insert(p.way.microbatch);
    }
  std::vector<std::vector<planned_task>> order(problem_.nodes.size());
  for (node_id n = 0; n < old_.order.size(); ++n)
    if (const node_id to = now(n); to != replan_request::gone)
      for (const planned_task& t : old_.order[n])
        if (whole_ids.count(t.microbatch))
          order[to].push_back(t);
  const simulation timed = simulate(problem_, whole, order);
  std::map<microbatch_id, placement> times;
  for (std::size_t i = 0; i < timed.end.size(); ++i)
    times[whole[i].microbatch] = {timed.start[i], timed.end[i]};
  std::stable_sort(paths_.begin(), paths_.end(), [](const kept_path& a, const kept_path& b) {
    return a.broken != b.broken ? a.broken < b.broken : a.start_s < b.start_s;
  });
  const auto running = running_times(problem_, old_, request_.new_id);
  std::map<microbatch_id, std::size_t> place;
  for (std::size_t i = 0; i < running.size(); ++i)
    place[old_.paths[i].microbatch] = i;
  timetable table(problem_);
  std::vector<path> ways(paths_.size());
  std::vector<std::uint8_t> open(paths_.size());
  std::vector<std::vector<double>> wanted(paths_.size());
  std::size_t known_times = 0;
  frozen_.resize(paths_.size());
  for (std::size_t i = 0; i < paths_.size(); ++i) {
    kept_path& p = paths_[i];
    // Given routes are those of their microbatches.
    const auto id = problem_.routes.empty() ? static_cast<microbatch_id>(i) : p.way.microbatch;
    if (const auto at = place.find(p.way.microbatch); at != place.end() && p.start_s < never) {
      wanted[id] = running[at->second];
      ++known_times;
    }
    const auto known = p.broken ? times.end() : times.find(p.way.microbatch);
    if (p.broken) {
      std::vector<stage_id> stages;
      for (const hop& h : p.way.hops)
        stages.push_back(h.stage);
      p.way = table.choose_nodes(id, p.way.origin, stages, arrangement_);
    }
    p.way.microbatch = id;
    if (!p.changed)
      report_.kept_paths.push_back(id);
    table.insert(p.way, known == times.end() ? table.fit(p.way) : known->second);
    ways[id] = p.way;
    open[id] = p.broken;
    frozen_[id] = p.frozen;
  }
  plan first = finish_plan(problem_, "skippipe", arrangement_, std::move(ways), table.order());
  if (known_times == first.paths.size())
    first = keep_order(problem_, first, wanted, open, after(0.3));
  return on_the_clock(first);
}

/// With every node's tasks as the clock brings them where that is better than the old order, which slots that
/// became scarce may hold up.
plan replanner::on_the_clock(const plan& first) const {
  const auto start = simulate(problem_, first.paths, first.order).start;
  std::vector<path> by_start = first.paths;
  std::stable_sort(by_start.begin(), by_start.end(), [&](const path& a, const path& b) {
    return start[a.microbatch].front() < start[b.microbatch].front();
  });
  auto run = dispatch(problem_, by_start);
  if (!run || run->makespan_s >= first.makespan_s)
    return first;
  return finish_plan(problem_, "skippipe", arrangement_, first.paths, std::move(run->order));
}

/// Walks from `first` until the time is over.
plan replanner::walk(const plan& first, unsigned lane) const {
  search_limits limits;
  limits.deadline = after(1);
  limits.seconds =
      std::max(1e-3, std::chrono::duration<double>(limits.deadline - clock::now()).count());
  limits.max_iterations = options_.max_iterations;
  limits.heat = 0.03;
  limits.frozen = frozen_;
  limits.hasty = 2000; // As many as 20 ms have: far from a good plan nothing else helps as much.
  return search(problem_, options_.seed * 1000 + lane, true, !problem_.routes.empty())
      .improve(first, limits);
}

void replanner::list_moves(const plan& made) {
  const auto stage = stages_of(problem_, made.arrangement);
  for (stage_id s = 0; s < old_.arrangement.size(); ++s)
    for (const node_id old : old_.arrangement[s])
      if (const node_id n = now(old); n != replan_request::gone && stage[n] != s)
        report_.moved_nodes.push_back(n);
}

plan_result replanner::run(unsigned lane) {
  random_source random(options_.seed);
  if (!gather() || !share_out(problem_, arrangement_, paths_, random)
      || !(problem_.routes.empty() ? rebalance(problem_, arrangement_, paths_)
                                   : follow_routes(problem_, paths_)))
    return afresh(lane);
  if (auto conflict = check_frozen(problem_, paths_))
    return *conflict;
  const plan first = repaired();
  plan best = walk(first, lane);
  list_moves(best);
  std::erase_if(report_.kept_paths,
                [&](microbatch_id mb) { return !(best.paths[mb] == first.paths[mb]); });
  return best;
}

/// The stage that the change hurts most: one that lost a node, or else that of the busiest node.
stage_id needy_stage(const instance& problem, const replan_request& request) {
  const std::size_t nodes = problem.nodes.size();
  const auto& arrangement = request.running->arrangement;
  for (stage_id s = 0; s < std::min<std::size_t>(arrangement.size(), problem.stages); ++s)
    for (const node_id n : arrangement[s])
      if (request.now(n, nodes) == replan_request::gone)
        return s;
  std::vector<double> busy(nodes, 0);
  double most = -1;
  stage_id needy = 0;
  const auto work = [&](node_id old, stage_id s) {
    const node_id n = request.now(old, nodes);
    if (n == replan_request::gone || s >= problem.stages)
      return; // Not of this plan's arrangement.
    const task_costs c = problem.costs(n, s);
    double& sum = busy[n] += c.forward_s + c.backward_s + (s == 0 ? c.loss_s : 0);
    if (sum > most) {
      most = sum;
      needy = s;
    }
  };
  for (const path& p : request.running->paths) {
    work(p.origin, 0);
    for (const hop& h : p.hops)
      work(h.node, h.stage);
  }
  return needy;
}

/// Nodes that microbatches in flight need where they are.
std::vector<std::uint8_t> in_use(const instance& problem, const replan_request& request) {
  std::vector<std::uint8_t> result(problem.nodes.size(), 0);
  const auto mark = [&](node_id old) {
    if (const node_id n = request.now(old, result.size()); n != replan_request::gone)
      result[n] = 1;
  };
  const std::set<microbatch_id> in_flight(request.in_flight.begin(), request.in_flight.end());
  for (const path& p : request.running->paths)
    if (in_flight.count(p.microbatch)) {
      mark(p.origin);
      for (const hop& h : p.hops)
        mark(h.node);
    }
  return result;
}

} // namespace

/// One walk per thread. Every other one may move nodes; only one that pays for it counts.
plan_result replan(const instance& problem, const replan_request& request,
                   const planner_options& options, replan_report& report) {
  const auto begin = clock::now();
  report = {};
  if (const auto why = find_obstacle(problem, strategy::skippipe))
    return *why;
  const auto kept = keep_arrangement(problem, request);
  auto changed = kept;
  // Of what the estimate promises some will not come true: the plans themselves are compared in the end.
  if (problem.arrangement.empty() && problem.routes.empty() && problem.stages > 1)
    changed =
        change_few_roles(problem, kept, needy_stage(problem, request), in_use(problem, request),
                         price_of_a_move * 2 / 3, begin + share_of_limit(options, 0.1));
  const unsigned lanes = std::max(1U, options.threads);
  std::vector<plan_result> found(lanes);
  std::vector<replan_report> reports(lanes);
  const auto walk = [&](unsigned lane) {
    const bool may_move = lane % 2 == 1 || lanes == 1;
    replanner one(problem, request, options, begin, may_move ? changed : kept);
    found[lane] = one.run(lane);
    reports[lane] = std::move(one.report());
  };
  const auto price = [&](unsigned lane) {
    const plan* p = std::get_if<plan>(&found[lane]);
    return p == nullptr ? never
                        : predicted_seconds(problem, *p)
                              * (1 + price_of_a_move * double(reports[lane].moved_nodes.size()));
  };
  const unsigned best = best_lane(lanes, walk, price);
  report = std::move(reports[best]);
  return std::move(found[best]);
}

} // namespace skippipe::scheduler
