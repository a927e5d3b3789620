#include "scheduler/repair.hpp"

#include "scheduler/search_state.hpp"
#include "scheduler/simulator.hpp"

#include <algorithm>

namespace skippipe::scheduler {

namespace {

/// `problem` with one more node for every gone one that the running plan uses; `new_id` then leads
/// to those.
instance with_stand_ins(const instance& problem, const plan& running,
                        std::vector<node_id>& new_id) {
  const auto real = static_cast<node_id>(problem.nodes.size());
  struct stand_in {
    stage_id stage;
    std::vector<node_id> peers;
  };
  std::vector<stand_in> added;
  for (stage_id s = 0; s < running.arrangement.size(); ++s) {
    std::vector<node_id> peers;
    for (const node_id n : running.arrangement[s])
      if (n < new_id.size() && new_id[n] < real)
        peers.push_back(new_id[n]);
    for (const node_id n : running.arrangement[s])
      if (n >= new_id.size() || new_id[n] >= real) {
        if (n >= new_id.size())
          new_id.resize(n + 1, real);
        new_id[n] = real + static_cast<node_id>(added.size());
        added.push_back({s, peers});
      }
  }
  const std::size_t all = real + added.size();
  instance x = problem;
  x.nodes.resize(all);
  x.node_stage_s.assign(all * problem.stages, {});
  for (node_id n = 0; n < all; ++n)
    for (stage_id s = 0; s < problem.stages; ++s) {
      task_costs& c = x.node_stage_s[n * problem.stages + s];
      if (n < real) {
        c = problem.costs(n, s);
        continue;
      }
      x.nodes[n].memory = ~std::uint32_t{0} / 2;
      const auto& peers = added[n - real].peers;
      for (const node_id peer : peers) {
        const task_costs own = problem.costs(peer, s);
        c.forward_s += own.forward_s / double(peers.size());
        c.loss_s += own.loss_s / double(peers.size());
        c.backward_s += own.backward_s / double(peers.size());
      }
    }
  const auto link = [&](node_id a, node_id b) {
    if (a < real && b < real)
      return problem.link(a, b);
    if (a >= real && b >= real)
      return 0.0;
    const auto& peers = added[std::max(a, b) - real].peers;
    double sum = 0;
    for (const node_id peer : peers)
      sum += a < real ? problem.link(a, peer) : problem.link(peer, b);
    return peers.empty() ? 0 : sum / double(peers.size());
  };
  x.link_s.resize(all * all);
  for (node_id a = 0; a < all; ++a)
    for (node_id b = 0; b < all; ++b)
      x.link_s[a * all + b] = link(a, b);
  return x;
}

} // namespace

std::vector<std::vector<double>> running_times(const instance& problem, const plan& running,
                                               const std::vector<node_id>& new_id) {
  std::vector<node_id> id = new_id;
  instance x = with_stand_ins(problem, running, id);
  // Times are all that is asked for: memory that shrank does not matter here.
  for (node_spec& n : x.nodes)
    n.memory = ~std::uint32_t{0} / 2;
  std::vector<path> paths = running.paths;
  for (path& p : paths) {
    for (const hop& h : p.hops)
      if (h.node >= id.size() || h.stage >= problem.stages)
        return {};
    if (p.origin >= id.size())
      return {};
    p.origin = id[p.origin];
    for (hop& h : p.hops)
      h.node = id[h.node];
  }
  std::vector<std::vector<planned_task>> order(x.nodes.size());
  for (node_id n = 0; n < running.order.size() && n < id.size(); ++n)
    if (id[n] < order.size())
      order[id[n]] = running.order[n];
  return simulate(x, paths, order).start;
}

plan keep_order(const instance& problem, const plan& valid,
                const std::vector<std::vector<double>>& wanted,
                const std::vector<std::uint8_t>& open,
                std::chrono::steady_clock::time_point deadline) {
  search_state state(problem);
  state.load(valid);
  std::vector<search_state::task> order = state.sequence;
  const auto time_of = [&](search_state::task t) {
    return wanted[t / state.width()][t % state.width() - 1];
  };
  std::sort(order.begin(), order.end(), [&](search_state::task a, search_state::task b) {
    const double x = time_of(a), y = time_of(b);
    return x != y ? x < y : a < b;
  });
  search_state::score best = state.time(order, 0);
  if (!(best.seconds < 1e300))
    return valid;
  state.commit(order, 0, best);
  bool better = true;
  for (int round = 0; round < 3 && better; ++round) {
    better = false;
    for (microbatch_id m = 0; m < open.size(); ++m)
      for (std::uint32_t h = 1; open[m] && h <= state.hops(); ++h) {
        if (std::chrono::steady_clock::now() >= deadline)
          break;
        const node_id now = state.hop_at(m, h);
        node_id chosen = now;
        for (const node_id n : state.nodes_of[state.stage_of[now]]) {
          state.hop_at(m, h) = n;
          state.refresh(m);
          const search_state::score s = state.time(order, 0, best.seconds + 1);
          if (s.cost < best.cost) {
            best = s;
            chosen = n;
            better = true;
          }
        }
        state.hop_at(m, h) = chosen;
        state.refresh(m);
      }
  }
  state.commit(order, 0, state.time(order, 0));
  plan result = state.to_plan(valid.strategy);
  result.makespan_s = simulate(problem, result.paths, result.order).makespan_s;
  return result.makespan_s < valid.makespan_s ? result : valid;
}

} // namespace skippipe::scheduler
