#include "scheduler/dispatch.hpp"

#include "scheduler/simulator.hpp"

#include <algorithm>

namespace skippipe::scheduler {

namespace {

struct event {
  double time;
  std::uint32_t task;
  bool ends;                                 ///< Else its input arrives.
  bool operator<(const event& other) const { // The earliest one is on top of a heap.
    if (time != other.time)
      return time > other.time;
    return ends != other.ends ? ends < other.ends : task > other.task;
  }
};

struct timed_task {
  double seconds, link; ///< The link leads to the next task.
  node_id node;
  task_kind kind;
  bool last;
};

struct node_state {
  // Tasks whose input is there; heaps, the first path on top.
  std::vector<std::uint32_t> forwards, others;
  std::uint32_t held = 0;
  bool working = false;
};

std::uint32_t pop(std::vector<std::uint32_t>& heap) {
  std::pop_heap(heap.begin(), heap.end(), std::greater<>{});
  const std::uint32_t t = heap.back();
  heap.pop_back();
  return t;
}

} // namespace

std::optional<dispatched> dispatch(const instance& problem, const std::vector<path>& paths,
                                   std::size_t most_in_flight) {
  std::vector<timed_task> tasks;
  std::vector<microbatch_id> owner;
  std::vector<std::uint32_t> first; // Of each path.
  for (const path& p : paths) {
    const auto hops = static_cast<std::uint32_t>(p.hops.size());
    first.push_back(static_cast<std::uint32_t>(tasks.size()));
    for (std::uint32_t s = 0; s < step_count(p); ++s) {
      const node_id n = step_node(p, s);
      const bool last = s + 1 == step_count(p);
      tasks.push_back({step_seconds(problem, p, s), last ? 0 : problem.link(n, step_node(p, s + 1)),
                       n, step_kind(hops, s), last});
      owner.push_back(p.microbatch);
    }
  }
  std::vector<event> events;
  std::size_t begun = 0;
  for (; begun < std::min(most_in_flight, paths.size()); ++begun)
    events.push_back({0, first[begun], false});
  std::vector<node_state> nodes(problem.nodes.size());
  dispatched result;
  result.order.resize(nodes.size());
  std::size_t done = 0;
  const auto put = [&](const event& e) {
    events.push_back(e);
    std::push_heap(events.begin(), events.end());
  };
  while (!events.empty()) {
    std::pop_heap(events.begin(), events.end());
    const event e = events.back();
    events.pop_back();
    const timed_task& t = tasks[e.task];
    node_state& n = nodes[t.node];
    if (e.ends) {
      n.working = false;
      n.held -= t.kind == task_kind::backward;
      ++done;
      result.makespan_s = e.time;
      if (!t.last)
        put({e.time + t.link, e.task + 1, false});
      else if (begun < first.size())
        put({e.time, first[begun++], false});
    } else {
      auto& heap = t.kind == task_kind::forward ? n.forwards : n.others;
      heap.push_back(e.task);
      std::push_heap(heap.begin(), heap.end(), std::greater<>{});
      // Of what arrives together the best goes first.
      if (!events.empty() && events.front().time == e.time && !events.front().ends
          && tasks[events.front().task].node == t.node)
        continue;
    }
    if (n.working)
      continue;
    const bool forward = n.others.empty();
    if (forward && (n.forwards.empty() || n.held >= problem.nodes[t.node].memory))
      continue;
    const std::uint32_t next = pop(forward ? n.forwards : n.others);
    n.working = true;
    n.held += forward;
    result.order[t.node].push_back({owner[next], tasks[next].kind});
    put({e.time + tasks[next].seconds, next, true});
  }
  if (done < tasks.size())
    return std::nullopt;
  return result;
}

} // namespace skippipe::scheduler
