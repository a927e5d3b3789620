#include "trace_pipeline.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>

namespace skippipe::test {

using scheduler::task_kind;
using trace::event;
using trace::event_kind;

namespace {

std::int64_t ns(double ms) { return static_cast<std::int64_t>(ms * 1e6 + 0.5); }

using task_id = std::tuple<node_id, microbatch_id, task_kind>;

// The chain F..F L B..B of a path as (stage, node, kind).
struct chain_task {
  stage_id stage;
  node_id node;
  task_kind kind;
};

std::vector<chain_task> chain_of(const scheduler::path& path) {
  std::vector<chain_task> chain = {{0, path.origin, task_kind::forward}};
  for (const auto& hop : path.hops)
    chain.push_back({hop.stage, hop.node, task_kind::forward});
  chain.push_back({0, path.origin, task_kind::loss});
  for (auto it = path.hops.rbegin(); it != path.hops.rend(); ++it)
    chain.push_back({it->stage, it->node, task_kind::backward});
  chain.push_back({0, path.origin, task_kind::backward});
  return chain;
}

struct runner {
  const scheduler::plan& plan;
  const pipeline_costs& costs;
  event proto; // iteration, attempt, plan
  std::map<node_id, std::size_t> memory;
  std::uint64_t transfers = 0;
  pipeline_run out;
  std::map<task_id, std::pair<double, double>> done; // start, end
  std::vector<double> node_free = std::vector<double>(6, 0);

  event& note(event_kind kind, node_id node, double ms) {
    event e = proto;
    e.kind = kind;
    e.node = node;
    e.time_ns = proto.time_ns + ns(ms);
    out.events[node].push_back(e);
    return out.events[node].back();
  }

  event& note(event_kind kind, const chain_task& t, const scheduler::path& path, std::uint32_t step,
              double ms) {
    auto& e = note(kind, t.node, ms);
    e.stage = t.stage;
    e.microbatch = path.microbatch;
    e.task = t.kind;
    e.step = step;
    return e;
  }

  // When the slot for the forward at `place` of its node's order is free; none: not known yet.
  std::optional<double> slot_free(node_id node, std::size_t place) const {
    std::size_t forwards = 0;
    for (std::size_t i = 0; i < place; ++i)
      forwards += plan.order[node][i].kind == task_kind::forward ? 1 : 0;
    const auto found = memory.find(node);
    const std::size_t slots = found == memory.end() ? 2 : found->second;
    if (forwards < slots)
      return 0;
    std::size_t backwards = 0;
    for (const auto& task : plan.order[node]) {
      if (task.kind != task_kind::backward || ++backwards != forwards - slots + 1)
        continue;
      const auto it = done.find({node, task.microbatch, task.kind});
      return it == done.end() ? std::nullopt : std::optional(it->second.second);
    }
    throw std::logic_error("an order that needs more memory than there is");
  }

  void move(const chain_task& from, const chain_task& to, const scheduler::path& path,
            std::uint32_t step, double sent_ms, double received_ms) {
    const auto id =
        trace::make_transfer_id(from.node, proto.attempt, (proto.iteration << 20) + transfers++);
    auto& sent = note(event_kind::sent, from, path, step, sent_ms);
    sent.task = to.kind; // the task it feeds
    sent.peer = to.node;
    sent.bytes = 1 << 20;
    sent.transfer = id;
    auto& received = note(event_kind::received, to, path, step, received_ms);
    received.peer = from.node;
    received.bytes = 1 << 20;
    received.transfer = id;
  }

  // Runs the task that is next on its node if its input can be there; false: not yet.
  bool try_run(node_id node, std::size_t place) {
    const auto& planned = plan.order[node][place];
    const auto& path = plan.paths[planned.microbatch];
    const auto chain = chain_of(path);
    const auto at = std::find_if(chain.begin(), chain.end(), [&](const chain_task& t) {
      return t.node == node && t.kind == planned.kind;
    });
    const auto step = static_cast<std::uint32_t>(at - chain.begin());
    const auto slot = at->kind == task_kind::forward ? slot_free(node, place) : 0.0;
    if (!slot)
      return false;
    double ready = 0;
    if (step > 0) {
      const auto& from = *(at - 1);
      const auto it = done.find({from.node, path.microbatch, from.kind});
      if (it == done.end())
        return false;
      const double leave = std::max(it->second.second, *slot);
      ready = leave + costs.link_ms(from.node, node);
      if (at->kind == task_kind::forward)
        note(event_kind::credit_granted, *at, path, step, *slot).peer = from.node;
      move(from, *at, path, step, leave, ready);
    }
    const double start = std::max({ready, node_free[node], *slot});
    const double factor = planned.kind == task_kind::forward ? 1
                          : planned.kind == task_kind::loss  ? 0.25
                                                             : 1.5;
    const double end = start + factor * costs.compute[node];
    note(event_kind::queued, *at, path, step, ready);
    note(event_kind::started, *at, path, step, start);
    note(event_kind::computed, *at, path, step, end);
    if (planned.kind == task_kind::backward)
      note(event_kind::freed, *at, path, step, end);
    done[{node, planned.microbatch, planned.kind}] = {start, end};
    out.times[node].push_back({start / 1e3, end / 1e3});
    node_free[node] = end;
    return true;
  }

  void run_tasks() {
    std::vector<std::size_t> next(6, 0);
    for (bool moved = true; moved;) {
      moved = false;
      for (node_id node = 0; node < 6; ++node)
        while (next[node] < plan.order[node].size() && try_run(node, next[node])) {
          ++next[node];
          moved = true;
        }
    }
    for (node_id node = 0; node < 6; ++node)
      if (next[node] != plan.order[node].size())
        throw std::logic_error("a plan that deadlocks");
  }

  // Pairs exchange one chunk, the scheduler commits, everyone steps.
  void finish() {
    double all = 0;
    for (stage_id stage = 0; stage < 3; ++stage) {
      const node_id pair[] = {2 * stage, 2 * stage + 1};
      const double last = std::max(node_free[pair[0]], node_free[pair[1]]);
      for (int i = 0; i < 2; ++i) {
        const node_id node = pair[i];
        const node_id peer = pair[1 - i];
        note(event_kind::reduce_started, node, node_free[node]).stage = stage;
        const auto id = trace::make_transfer_id(node, 77, proto.iteration * 64 + proto.attempt);
        for (const bool sends : {true, false}) {
          auto& e = note(sends ? event_kind::reduce_sent : event_kind::reduce_received,
                         sends ? node : peer, sends ? node_free[node] : last + 20);
          e.peer = sends ? peer : node;
          e.stage = stage;
          e.bytes = 4 << 20;
          e.transfer = id;
        }
        note(event_kind::reduced, node, last + 20).stage = stage;
        note(event_kind::norms_reported, node, last + 20).stage = stage;
      }
      all = std::max(all, last + 20);
    }
    note(event_kind::commit_sent, 6, all + 5);
    for (node_id node = 0; node < 6; ++node) {
      note(event_kind::commit_received, node, all + 10).stage = node / 2;
      note(event_kind::step_started, node, all + 10).stage = node / 2;
      note(event_kind::step_done, node, all + 25).stage = node / 2;
    }
  }
};

} // namespace

scheduler::plan pipeline_plan() {
  using scheduler::planned_task;
  constexpr auto f = task_kind::forward, l = task_kind::loss, b = task_kind::backward;
  scheduler::plan plan;
  plan.version = 5;
  plan.strategy = "by-hand";
  plan.arrangement = {{0, 1}, {2, 3}, {4, 5}};
  plan.paths = {{0, 0, {{1, 2}, {2, 4}}},
                {1, 1, {{1, 3}, {2, 5}}},
                {2, 0, {{2, 4}, {1, 2}}},
                {3, 1, {{2, 5}}}};
  plan.order = {{{0, f}, {2, f}, {0, l}, {2, l}, {0, b}, {2, b}},
                {{1, f}, {3, f}, {3, l}, {1, l}, {3, b}, {1, b}},
                {{0, f}, {2, f}, {0, b}, {2, b}},
                {{1, f}, {1, b}},
                {{0, f}, {2, f}, {0, b}, {2, b}},
                {{1, f}, {3, f}, {3, b}, {1, b}}};
  return plan;
}

pipeline_run run_pipeline(const scheduler::plan& plan, const pipeline_costs& costs,
                          iteration_no iteration, std::int64_t begin_ns, attempt_no attempt,
                          const std::map<node_id, std::size_t>& memory) {
  runner r{plan, costs, {}, memory};
  r.proto.time_ns = begin_ns;
  r.proto.iteration = iteration;
  r.proto.attempt = attempt;
  r.proto.plan = static_cast<std::uint32_t>(plan.version);
  r.out.events.resize(7);
  r.out.times.resize(6);
  r.note(event_kind::iteration_started, 6, 0);
  for (node_id node = 0; node < 6; ++node)
    r.note(event_kind::plan_received, node, 0);
  for (const auto& path : plan.paths) {
    const auto chain = chain_of(path);
    for (std::size_t i = 0; i < chain.size(); ++i)
      r.note(event_kind::planned, chain[i], path, static_cast<std::uint32_t>(i), 0);
  }
  r.run_tasks();
  r.finish();
  for (auto& events : r.out.events)
    std::stable_sort(events.begin(), events.end(),
                     [](const event& a, const event& b) { return a.time_ns < b.time_ns; });
  return std::move(r.out);
}

void write_run(const std::filesystem::path& dir, const scheduler::plan& plan,
               const std::vector<std::vector<std::vector<event>>>& iterations,
               std::uint64_t session, std::vector<std::int64_t> clock_offset_ns) {
  clock_offset_ns.resize(7, 0);
  const auto nominal = run_pipeline(plan, {}, 1, 0);
  if (trace::write_plan_record(dir, plan, nominal.times))
    throw std::runtime_error("cannot write the plan");
  for (node_id node = 0; node < 7; ++node) {
    trace::segment_info info;
    info.name = pipeline_names[node];
    info.node = node;
    info.session = session;
    info.clock_offset_ns = clock_offset_ns[node];
    trace::file_writer writer;
    if (writer.open({dir}, info))
      throw std::runtime_error("cannot write the trace");
    for (const auto& iteration : iterations) {
      auto events = iteration[node];
      for (auto& e : events) // as this node's clock saw them
        e.time_ns -= clock_offset_ns[node];
      if (writer.append(events, 0))
        throw std::runtime_error("cannot write the trace");
    }
  }
}

} // namespace skippipe::test
