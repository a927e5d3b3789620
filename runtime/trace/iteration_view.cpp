#include "runtime/trace/iteration_view.hpp"

#include "runtime/trace/plan_reader.hpp"
#include "runtime/trace/waits.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <tuple>

namespace skippipe::runtime {

using scheduler::task_kind;
using trace::event;
using trace::event_kind;

namespace {

void find_bounds(iteration_view& view) {
  time_point begin, end, commit;
  for (const auto& e : view.events) {
    if (e.kind == event_kind::iteration_started) {
      view.attempt_begin_ns.try_emplace(e.attempt, e.time_ns);
      if (!begin)
        begin = e.time_ns;
    }
    if (e.kind == event_kind::commit_received || e.kind == event_kind::step_done)
      commit = e.time_ns;
    // A checkpoint of this iteration is written while the next ones run.
    if (e.kind != event_kind::snapshot_started && e.kind != event_kind::snapshot_done)
      end = e.time_ns;
  }
  for (const auto& e : view.events)
    if (!begin && e.kind != event_kind::plan_received && e.kind != event_kind::planned)
      begin = e.time_ns;
  view.begin_ns = begin.value_or(view.events.front().time_ns);
  view.end_ns = std::max(view.begin_ns, commit.value_or(end.value_or(view.begin_ns)));
}

void find_plan(const run_trace& run, iteration_view& view) {
  // Events carry the version's low half; versions beyond it are not met in practice.
  std::uint32_t version = 0;
  for (const auto& e : view.events)
    // A plan is often received before the iterations that it is for.
    if (e.plan != 0 && e.kind != event_kind::plan_received)
      version = e.plan;
  if (version == 0)
    return;
  auto result = load_plan_record(run.dir, version);
  if (auto* line = std::get_if<std::string>(&result))
    view.warnings.push_back("planned times are missing: " + *line);
  else
    view.plan = std::move(std::get<trace::plan_record>(result));
}

const scheduler::path* path_of(const iteration_view& view, microbatch_id microbatch) {
  if (!view.plan)
    return nullptr;
  for (const auto& path : view.plan->plan.paths)
    if (path.microbatch == microbatch)
      return &path;
  return nullptr;
}

// Position of a task on F..F L B..B by the plan's path; nodes off the path come last.
std::size_t rank(const task_run& task, const scheduler::path& path) {
  const std::size_t hops = path.hops.size();
  if (task.kind == task_kind::loss)
    return hops + 1;
  std::size_t forward = 2 * hops + 3;
  if (task.node == path.origin)
    forward = 0;
  for (std::size_t i = 0; i < hops; ++i)
    if (path.hops[i].node == task.node)
      forward = i + 1;
  return task.kind == task_kind::forward ? forward : 2 * hops + 2 - std::min(forward, 2 * hops + 2);
}

void sort_by_path(const iteration_view& view, microbatch_id id, std::vector<std::size_t>& tasks) {
  const auto* path = path_of(view, id);
  auto key = [&](std::size_t i) {
    const auto& t = view.tasks[i];
    const auto place = path != nullptr ? rank(t, *path) : t.step;
    return std::tuple(path != nullptr ? 0 : static_cast<int>(t.kind), place,
                      t.started.value_or(std::numeric_limits<std::int64_t>::max()));
  };
  std::stable_sort(tasks.begin(), tasks.end(),
                   [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
}

} // namespace

std::string_view to_string(activity what) {
  constexpr std::array<std::string_view, activities> names = {"compute", "link",   "credit", "busy",
                                                              "order",   "memory", "other"};
  return names.at(static_cast<std::size_t>(what));
}

std::optional<trace::task_times> iteration_view::planned(const task_run& task) const {
  if (!plan || task.node >= plan->times.size())
    return {};
  const auto& order = plan->plan.order[task.node];
  for (std::size_t i = 0; i < order.size(); ++i)
    if (order[i].microbatch == task.microbatch && order[i].kind == task.kind)
      return plan->times[task.node][i];
  return {};
}

std::int64_t iteration_view::begin_of(attempt_no attempt) const {
  const auto it = attempt_begin_ns.find(attempt);
  return it != attempt_begin_ns.end() ? it->second : begin_ns;
}

iteration_view view_iteration(const run_trace& run, iteration_no iteration) {
  iteration_view view;
  view.iteration = iteration;
  std::copy_if(run.events.begin(), run.events.end(), std::back_inserter(view.events),
               [&](const event& e) { return e.iteration == iteration && e.evaluation == 0; });
  if (view.events.empty())
    return view;
  find_bounds(view);
  find_plan(run, view);
  view.tasks = collect_tasks(view.events);
  view.transfers = pair_transfers(view.events);
  for (const auto& t : view.tasks) {
    auto& m = view.microbatches[t.microbatch];
    m.attempt = std::max(m.attempt, t.attempt);
  }
  for (std::size_t i = 0; i < view.tasks.size(); ++i) {
    auto& m = view.microbatches[view.tasks[i].microbatch];
    if (view.tasks[i].attempt == m.attempt)
      m.tasks.push_back(i);
  }
  for (auto& [id, m] : view.microbatches)
    sort_by_path(view, id, m.tasks);
  find_waits(view);
  return view;
}

} // namespace skippipe::runtime
