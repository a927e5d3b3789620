#include "scheduler/replan.hpp"

#include "scheduler/exchange.hpp"
#include "scheduler/figures.hpp"
#include "scheduler/kept_paths.hpp"
#include "scheduler/repair.hpp"
#include "scheduler/search.hpp"
#include "scheduler/simulator.hpp"
#include "scheduler/strategies.hpp"
#include "scheduler/timetable.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <thread>

namespace skippipe::scheduler {

namespace {

using clock = std::chrono::steady_clock;

constexpr double never = 1e18; ///< The start of a path that was not running.

class replanner {
public:
  replanner(const instance& problem, const replan_request& request, const planner_options& options,
            replan_report& report)
      : problem_(problem), request_(request), old_(*request.running), options_(options),
        report_(report), begin_(clock::now()), arrangement_(keep_arrangement(problem, request)),
        stage_of_(stages_of(arrangement_)) {}

  plan_result run();

private:
  clock::time_point after(double share) const {
    return begin_
           + std::chrono::duration_cast<clock::duration>(
               std::chrono::duration<double>(share * options_.time_limit_s));
  }
  node_id now(node_id old) const {
    return old < request_.new_id.size() && request_.new_id[old] < problem_.nodes.size()
               ? request_.new_id[old]
               : replan_request::gone;
  }
  std::vector<stage_id> stages_of(const std::vector<std::vector<node_id>>& arrangement) const {
    std::vector<stage_id> result(problem_.nodes.size(), 0);
    for (stage_id s = 0; s < arrangement.size(); ++s)
      for (const node_id n : arrangement[s])
        result[n] = s;
    return result;
  }

  plan_result afresh();
  bool gather();
  plan repaired();
  stage_id needy(const plan& p) const;
  plan walk(const plan& first, unsigned lane, bool may_move);
  plan improved(const plan& first);
  void list_moves(const plan& made);

  const instance& problem_;
  const replan_request& request_;
  const plan& old_;
  const planner_options& options_;
  replan_report& report_;
  clock::time_point begin_;
  std::vector<std::vector<node_id>> arrangement_;
  std::vector<stage_id> stage_of_;
  std::vector<kept_path> paths_;
  std::vector<std::uint8_t> frozen_; ///< Per microbatch of the new plan.
};

/// No path can be kept, and so what is in flight is lost, too; but nodes stay where they are.
plan_result replanner::afresh() {
  report_ = {};
  report_.lost = request_.in_flight;
  planner_options rest = options_;
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
  std::vector<path> ways;
  std::vector<std::uint8_t> open;
  std::vector<std::vector<double>> wanted;
  for (kept_path& p : paths_) {
    if (const auto at = place.find(p.way.microbatch); at != place.end() && p.start_s < never)
      wanted.push_back(running[at->second]);
    const auto id = static_cast<microbatch_id>(ways.size());
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
    ways.push_back(p.way);
    open.push_back(p.broken);
    frozen_.push_back(p.frozen);
  }
  plan first = finish_plan(problem_, "skippipe", arrangement_, std::move(ways), table.order());
  if (wanted.size() == first.paths.size())
    first = keep_order(problem_, first, wanted, open, after(0.3));
  return first;
}

/// The stage to bring another node to: one that lost a node, or else that of the busiest node.
stage_id replanner::needy(const plan& p) const {
  for (stage_id s = 0; s < old_.arrangement.size(); ++s)
    for (const node_id n : old_.arrangement[s])
      if (now(n) == replan_request::gone)
        return s;
  const auto busy = simulate(problem_, p.paths, p.order).busy_s;
  return stage_of_[static_cast<std::size_t>(std::max_element(busy.begin(), busy.end())
                                            - busy.begin())];
}

/// Walks from `first` until the time is over, after the few moves of nodes that are worth it.
plan replanner::walk(const plan& first, unsigned lane, bool may_move) {
  plan from = first;
  if (may_move) {
    exchange trades(problem_, frozen_, problem_.stage_sizes.empty(), options_.seed + lane);
    const stage_id stage = needy(first);
    for (int i = 0; i < 2 && clock::now() < after(0.5); ++i) {
      plan next = trades.improve(from, stage, price_of_a_move, after(0.5));
      if (next.arrangement == from.arrangement)
        break;
      from = std::move(next);
    }
  }
  search_limits limits;
  limits.deadline = after(1);
  limits.seconds =
      std::max(1e-3, std::chrono::duration<double>(limits.deadline - clock::now()).count());
  limits.max_iterations = options_.max_iterations;
  limits.heat = 0.03;
  limits.frozen = frozen_;
  return search(problem_, options_.seed * 1000 + lane, true, false).improve(from, limits);
}

/// The best of one walk per thread. Every other one may move nodes; only one that pays for it counts.
plan replanner::improved(const plan& first) {
  const unsigned lanes = std::max(1U, options_.threads);
  const bool may_move = problem_.arrangement.empty();
  std::vector<plan> found(lanes);
  std::vector<std::thread> helpers;
  for (unsigned i = 1; i < lanes; ++i)
    helpers.emplace_back([&, i] { found[i] = walk(first, i, may_move && i % 2 == 1); });
  found[0] = walk(first, 0, may_move && lanes == 1);
  for (std::thread& t : helpers)
    t.join();
  const auto price = [&](const plan& p) {
    const auto stage = stages_of(p.arrangement);
    double moved = 0;
    for (node_id n = 0; n < stage.size(); ++n)
      moved += stage[n] != stage_of_[n];
    return predicted_seconds(problem_, p) * (1 + price_of_a_move * moved);
  };
  return std::move(*std::min_element(found.begin(), found.end(), [&](const plan& a, const plan& b) {
    return price(a) < price(b);
  }));
}

void replanner::list_moves(const plan& made) {
  const auto stage = stages_of(made.arrangement);
  for (stage_id s = 0; s < old_.arrangement.size(); ++s)
    for (const node_id old : old_.arrangement[s])
      if (const node_id n = now(old); n != replan_request::gone && stage[n] != s)
        report_.moved_nodes.push_back(n);
}

plan_result replanner::run() {
  random_source random(options_.seed);
  if (!problem_.routes.empty() || !gather() || !share_out(problem_, arrangement_, paths_, random)
      || !rebalance(problem_, arrangement_, paths_))
    return afresh();
  if (auto conflict = check_frozen(problem_, paths_))
    return *conflict;
  const plan first = repaired();
  plan best = improved(first);
  list_moves(best);
  std::erase_if(report_.kept_paths,
                [&](microbatch_id mb) { return !(best.paths[mb] == first.paths[mb]); });
  return best;
}

} // namespace

plan_result replan(const instance& problem, const replan_request& request,
                   const planner_options& options, replan_report& report) {
  report = {};
  if (const auto why = find_obstacle(problem, strategy::skippipe))
    return *why;
  return replanner(problem, request, options, report).run();
}

} // namespace skippipe::scheduler
