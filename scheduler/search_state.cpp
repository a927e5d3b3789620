#include "scheduler/search_state.hpp"

#include "scheduler/reduction.hpp"
#include "scheduler/simulator.hpp"

#include <algorithm>
#include <cmath>

namespace skippipe::scheduler {

namespace {
// Shares of the score beside the makespan.
constexpr double soft_share = 0.05, mean_share = 0.1;
} // namespace

search_state::search_state(const instance& problem)
    : problem_(problem), nodes_(problem.nodes.size()), reduces_(reduces(problem)),
      reduction_s_(problem.stages, 0), mean_reduction_s_(problem.stages, 0) {
  for (node_id n = 0; n < nodes_.size(); ++n)
    nodes_[n].memory = problem.nodes[n].memory;
}

void search_state::load(const plan& p) {
  const std::size_t nodes = problem_.nodes.size();
  microbatches_ = static_cast<std::uint32_t>(p.paths.size());
  hops_ = static_cast<std::uint32_t>(p.paths.front().hops.size());
  width_ = 2 * hops_ + 4;
  nodes_of = p.arrangement;
  stage_of.assign(nodes, 0);
  for (stage_id s = 0; s < nodes_of.size(); ++s)
    for (node_id n : nodes_of[s])
      stage_of[n] = s;
  for (stage_id s = 0; s < problem_.stages; ++s)
    regroup(s);
  visits.assign(problem_.stages, 0);
  hop_node.resize(std::size_t{microbatches_} * (hops_ + 1));
  for (microbatch_id m = 0; m < microbatches_; ++m) {
    hop_at(m, 0) = p.paths[m].origin;
    for (std::uint32_t h = 1; h <= hops_; ++h) {
      hop_at(m, h) = p.paths[m].hops[h - 1].node;
      ++visits[p.paths[m].hops[h - 1].stage];
    }
  }
  const std::size_t tasks = std::size_t{microbatches_} * width_;
  info_.assign(tasks, {});
  place_.assign(tasks, 0);
  index_.assign(tasks, 0);
  queued_.assign(tasks, 0);
  changed_.assign(tasks, 0);
  detours_.assign(nodes, {});
  epoch_ = 0;
  candidate_end_.assign(tasks, 0);
  start.assign(tasks, 0);
  end.assign(tasks, 0);
  late_.assign(tasks + 1, 0);
  wait_next_.assign(tasks, none);
  origin_end_.resize(nodes);
  calendar_.assign(nodes, {});
  checkpoints_.resize((tasks / stride + 1) * nodes);
  for (microbatch_id m = 0; m < microbatches_; ++m) {
    for (std::uint32_t i = 0; i < steps(); ++i) {
      const task_kind kind = step_kind(hops_, i);
      info_[first_task(m) + i].held =
          kind == task_kind::forward ? 1 : (kind == task_kind::backward ? -1 : 0);
    }
    refresh(m);
  }
  const simulation timed = simulate(problem_, p.paths, p.order);
  reference_ = timed.makespan_s;
  std::vector<task> order;
  for (microbatch_id m = 0; m < microbatches_; ++m)
    for (std::uint32_t i = 0; i < steps(); ++i) {
      order.push_back(first_task(m) + i);
      start[first_task(m) + i] = timed.start[m][i];
      end[first_task(m) + i] = timed.end[m][i];
    }
  // Among tasks that start together, those of no length go first, and a path keeps its steps.
  std::stable_sort(order.begin(), order.end(), [&](task a, task b) {
    return start[a] != start[b] ? start[a] < start[b] : end[a] < end[b];
  });
  for (node_id n = 0; n < nodes; ++n) {
    checkpoints_[n] = {};
    checkpoints_[n].memory = problem_.nodes[n].memory;
  }
  sequence = order;
  commit(order, 0, time(order, 0));
}

void search_state::refresh(microbatch_id m) {
  const task first = first_task(m);
  const std::uint32_t count = steps();
  for (std::uint32_t h = 0; h <= hops_; ++h) {
    const node_id n = hop_at(m, h);
    const task_costs c = problem_.costs(n, h == 0 ? 0 : stage_of[n]);
    info_[first + h].node = info_[first + count - 1 - h].node = n;
    info_[first + h].seconds = c.forward_s;
    info_[first + count - 1 - h].seconds = c.backward_s;
    if (h == 0) {
      info_[first + hops_ + 1].node = n;
      info_[first + hops_ + 1].seconds = c.loss_s;
    }
  }
  for (std::uint32_t i = 1; i < count; ++i)
    info_[first + i].link = problem_.link(info_[first + i - 1].node, info_[first + i].node);
  double tail = 0;
  for (std::uint32_t i = count; i > 0; --i) {
    task_info& x = info_[first + i - 1];
    x.tail = tail;
    tail += x.seconds + x.link;
  }
}

void search_state::regroup(stage_id s) {
  if (!reduces_)
    return;
  reduction_s_[s] = reduction_seconds(problem_, s, nodes_of[s]);
  mean_reduction_s_[s] = mean_reduction_seconds(problem_, s, nodes_of[s]);
}

void search_state::run(task t) {
  while (true) {
    const task_info& x = info_[t];
    node_state& n = nodes_[x.node];
    const double done = std::max(n.free, candidate_end_[t - 1] + x.link) + x.seconds;
    candidate_end_[t] = done;
    n.free = done;
    executed_.push_back(t);
    n.held += static_cast<std::uint32_t>(x.held);
    if (x.held < 0 && n.waits != none) {
      const task waiting = n.waits;
      n.waits = wait_next_[waiting];
      late_[waiting] = 0;
      --late_count_;
      run(waiting);
    }
    // The next step may have come and gone in the sequence: then it is due at once.
    if (!late_[t + 1])
      return;
    ++t;
    if (slotless(info_[t]))
      return queue(t);
    late_[t] = 0;
    --late_count_;
  }
}

/// Lets a forward wait for a slot, behind those that already do on its node.
void search_state::queue(task t) {
  task* link = &nodes_[info_[t].node].waits;
  while (*link != none)
    link = &wait_next_[*link];
  *link = t;
  wait_next_[t] = none;
}

void search_state::put_off(task t) {
  late_[t] = 1;
  ++late_count_;
}

search_state::score search_state::time(const std::vector<task>& order, std::size_t from,
                                       double limit) {
  from -= from % stride;
  std::copy_n(checkpoints_.begin() + static_cast<std::ptrdiff_t>(from / stride * nodes_.size()),
              nodes_.size(), nodes_.begin());
  if (from > 0)
    std::copy(end.begin(), end.end(), candidate_end_.begin());
  executed_.clear();
  late_count_ = 0;
  std::size_t i = from;
  double* const ends = candidate_end_.data();
  for (; i < order.size(); ++i) {
    const task t = order[i];
    const task_info& x = info_[t];
    node_state& n = nodes_[x.node];
    if (x.held > 0 && n.held >= n.memory)
      break;
    const double done = std::max(n.free, ends[t - 1] + x.link) + x.seconds;
    ends[t] = done;
    n.free = done;
    n.held += static_cast<std::uint32_t>(x.held);
    if (done + x.tail > limit)
      return {};
  }
  if (i < order.size())
    executed_.assign(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(i));
  for (; i < order.size(); ++i) {
    const task t = order[i];
    if (late_[t - 1]) {
      put_off(t);
    } else if (slotless(info_[t])) {
      put_off(t);
      queue(t);
    } else {
      run(t);
      if (candidate_end_[t] + info_[t].tail > limit)
        break;
    }
  }
  if (late_count_ > 0) {
    std::fill(late_.begin(), late_.end(), 0);
    late_count_ = 0;
    return {};
  }
  return i < order.size() ? score{} : summary();
}

/// When the last stage has reduced its gradients, by the ends of all tasks.
double search_state::reduced_at() {
  stage_end_.assign(problem_.stages, 0);
  for (microbatch_id m = 0; m < microbatches_; ++m)
    for (std::uint32_t h = 0; h <= hops_; ++h) {
      double& last = stage_end_[h == 0 ? 0 : stage_of[hop_at(m, h)]];
      last = std::max(last, candidate_end_[first_task(m) + steps() - 1 - h]);
    }
  double end = 0;
  for (stage_id s = 0; s < problem_.stages; ++s)
    end = std::max(end, stage_end_[s] + reduction_s_[s]);
  return end;
}

search_state::score search_state::summary() {
  score s;
  s.seconds = 0;
  double sum = 0, power = 0;
  for (const node_id o : nodes_of[0])
    origin_end_[o] = 0;
  for (microbatch_id m = 0; m < microbatches_; ++m) {
    const double done = candidate_end_[first_task(m) + steps() - 1];
    double& last = origin_end_[hop_at(m, 0)];
    last = std::max(last, done);
    sum += done;
  }
  for (const node_id o : nodes_of[0]) {
    s.seconds = std::max(s.seconds, origin_end_[o]);
    double x = origin_end_[o] / reference_;
    x *= x;
    x *= x;
    power += x * x;
  }
  double reductions = 0;
  if (reduces_) {
    s.seconds = std::max(s.seconds, reduced_at());
    for (const double x : mean_reduction_s_)
      reductions += mean_share * x / double(problem_.stages);
  }
  s.cost = s.seconds + soft_share * reference_ * power / double(nodes_of[0].size())
           + mean_share * sum / microbatches_ + reductions;
  return s;
}

void search_state::commit(const std::vector<task>& order, std::size_t from, const score& s) {
  value = s;
  from -= from % stride;
  const std::vector<task>& done = executed_.empty() ? order : executed_;
  sequence.resize(done.size());
  const auto offset = static_cast<std::ptrdiff_t>(from);
  std::copy(done.begin() + offset, done.end(), sequence.begin() + offset);
  end.swap(candidate_end_);
  for (std::size_t i = from; i < sequence.size(); ++i)
    start[sequence[i]] = end[sequence[i]] - info_[sequence[i]].seconds;
  // Nearly sorted already. Equal starts keep their order, so it stays a linear extension.
  std::size_t first = from;
  for (std::size_t i = from; i < sequence.size(); ++i) {
    const task t = sequence[i];
    const double key = start[t];
    std::size_t j = i;
    for (; j > 0 && start[sequence[j - 1]] > key; --j)
      sequence[j] = sequence[j - 1];
    sequence[j] = t;
    first = std::min(first, j);
  }
  first -= first % stride;
  std::copy_n(checkpoints_.begin() + static_cast<std::ptrdiff_t>(first / stride * nodes_.size()),
              nodes_.size(), nodes_.begin());
  for (node_id n = 0; n < nodes_.size(); ++n)
    calendar_[n].resize(nodes_[n].listed);
  for (std::size_t i = first; i < sequence.size(); ++i) {
    if (i % stride == 0)
      std::copy(nodes_.begin(), nodes_.end(),
                checkpoints_.begin() + static_cast<std::ptrdiff_t>(i / stride * nodes_.size()));
    const task t = sequence[i];
    const task_info& x = info_[t];
    node_state& n = nodes_[x.node];
    n.free = end[t];
    n.held += static_cast<std::uint32_t>(x.held);
    ++n.listed;
    place_[t] = static_cast<std::uint32_t>(i);
    index_[t] = static_cast<std::uint32_t>(calendar_[x.node].size());
    calendar_[x.node].push_back({start[t], end[t], t / width_, t, x.held});
  }
}

double search_state::gap(node_id n, double ready, double seconds,
                         const std::vector<std::uint8_t>& without) const {
  const auto& tasks = calendar_[n];
  auto it = std::upper_bound(tasks.begin(), tasks.end(), ready,
                             [](double t, const busy& b) { return t < b.end; });
  for (; it != tasks.end() && it->start < ready + seconds; ++it)
    if (!without[it->owner])
      ready = it->end;
  return ready;
}

double search_state::gap_with_slot(task t, double ready,
                                   const std::vector<std::uint8_t>& without) const {
  const task_info& x = info_[t];
  const task back = t - t % width_ + width_ - t % width_; // Its backward on the same node.
  const double hold = x.seconds + x.tail - info_[back].tail;
  const auto& tasks = calendar_[x.node];
  const std::uint32_t memory = nodes_[x.node].memory;
  while (true) {
    ready = gap(x.node, ready, x.seconds, without);
    std::uint32_t held = 0, most = 0;
    double next_free = -1;
    for (const busy& b : tasks) {
      if (without[b.owner])
        continue;
      if (b.start >= ready + hold)
        break;
      const auto h = info_[b.id].held;
      if (h > 0) {
        ++held;
        if (b.start > ready)
          most = std::max(most, held);
      } else if (h < 0) {
        if (b.end > ready) {
          most = std::max(most, held);
          if (next_free < 0)
            next_free = b.end;
        }
        --held;
      }
    }
    most = std::max(most, held);
    if (most < memory || next_free < 0)
      return ready;
    ready = next_free;
  }
}

plan search_state::to_plan(const std::string& strategy) const {
  plan p;
  p.strategy = strategy;
  p.arrangement = nodes_of;
  for (microbatch_id m = 0; m < microbatches_; ++m) {
    path x{m, hop_at(m, 0), {}};
    for (std::uint32_t h = 1; h <= hops_; ++h)
      x.hops.push_back({stage_of[hop_at(m, h)], hop_at(m, h)});
    p.paths.push_back(std::move(x));
  }
  p.order.resize(problem_.nodes.size());
  for (const task t : sequence) {
    const std::uint32_t step = t % width_ - 1;
    p.order[info_[t].node].push_back({t / width_, step_kind(hops_, step)});
  }
  for (microbatch_id m = 0; m < microbatches_; ++m)
    p.makespan_s = std::max(p.makespan_s, end[first_task(m) + steps() - 1]);
  return p;
}

} // namespace skippipe::scheduler
