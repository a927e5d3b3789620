#include "scheduler/cost_tracker.hpp"

#include "scheduler/link_estimate.hpp"

#include <algorithm>

namespace skippipe::scheduler {

namespace {

double median(std::vector<double> values) {
  if (values.empty())
    return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double weight_of(const workload& work, stage_id stage) {
  return stage < work.stage_weight.size() && work.stage_weight[stage] > 0 ? work.stage_weight[stage]
                                                                          : 1;
}

void add_positive(steady_average& average, double value) {
  if (value > 0)
    average.add(value);
}

} // namespace

void cost_tracker::add_tasks(node_id node, stage_id stage, const task_costs& seconds) {
  if (seconds.forward_s <= 0 && seconds.loss_s <= 0 && seconds.backward_s <= 0)
    return;
  auto& record = tasks_[node];
  if (record.stage != stage)
    record = task_record{};
  record.stage = stage;
  add_positive(record.forward, seconds.forward_s);
  add_positive(record.loss, seconds.loss_s);
  add_positive(record.backward, seconds.backward_s);
}

void cost_tracker::add_link(node_id from, node_id to, const link_figures& seen) {
  if (from == to || (seen.latency_s <= 0 && seen.bandwidth_Bps <= 0))
    return;
  auto& record = links_[{from, to}];
  add_positive(record.latency, seen.latency_s);
  add_positive(record.bandwidth, seen.bandwidth_Bps);
}

void cost_tracker::forget(node_id node) {
  tasks_.erase(node);
  std::erase_if(links_, [node](const auto& entry) {
    return entry.first.first == node || entry.first.second == node;
  });
}

std::optional<task_costs> cost_tracker::tasks(node_id node) const {
  const auto found = tasks_.find(node);
  if (found == tasks_.end())
    return std::nullopt;
  const auto& record = found->second;
  return task_costs{record.forward.value(), record.loss.value(), record.backward.value()};
}

std::optional<link_figures> cost_tracker::link(node_id from, node_id to) const {
  const auto found = links_.find({from, to});
  if (found == links_.end())
    return std::nullopt;
  return link_figures{found->second.latency.value(), found->second.bandwidth.value()};
}

instance cost_tracker::applied_to(const instance& nominal, const workload& work) const {
  instance out = nominal;
  fill_tasks(out, work);
  fill_links(out, work);
  return out;
}

void cost_tracker::fill_tasks(instance& out, const workload& work) const {
  // Per unit of weight, so that one node's stage says something of its others and of other nodes.
  std::vector<double> forwards, backwards, losses;
  for (const auto& [node, record] : tasks_) {
    const double weight = weight_of(work, record.stage);
    if (record.forward.known())
      forwards.push_back(record.forward.value() / weight);
    if (record.backward.known())
      backwards.push_back(record.backward.value() / weight);
    // In proportion to the node's speed: the head is the same size whatever stage 0 holds besides.
    if (record.loss.known() && record.forward.known())
      losses.push_back(record.loss.value() / (record.forward.value() / weight));
  }
  if (forwards.empty())
    return;
  const double forward = median(forwards);
  const double backward = backwards.empty() ? forward * out.backward_ratio : median(backwards);
  const double loss_to_forward =
      losses.empty() ? out.loss_ratio * weight_of(work, 0) : median(losses);
  out.node_stage_s.assign(out.nodes.size() * out.stages, {});
  for (node_id node = 0; node < out.nodes.size(); ++node) {
    const auto found = tasks_.find(node);
    const auto* record = found == tasks_.end() ? nullptr : &found->second;
    double f = forward, b = backward;
    if (record != nullptr && record->forward.known()) {
      f = record->forward.value() / weight_of(work, record->stage);
      b = record->backward.known() ? record->backward.value() / weight_of(work, record->stage)
                                   : f * backward / forward;
    }
    for (stage_id stage = 0; stage < out.stages; ++stage) {
      const double weight = weight_of(work, stage);
      auto& costs = out.node_stage_s[node * out.stages + stage];
      costs = {f * weight, f * loss_to_forward, b * weight};
      if (record != nullptr && record->stage == stage && record->loss.known())
        costs.loss_s = record->loss.value();
    }
  }
}

void cost_tracker::fill_links(instance& out, const workload& work) const {
  if (links_.empty())
    return;
  const auto n = out.nodes.size();
  std::vector<link_figures> known(n * n);
  for (const auto& [ends, record] : links_)
    if (ends.first < n && ends.second < n)
      known[ends.first * n + ends.second] = {record.latency.value(), record.bandwidth.value()};
  complete_links(out.nodes, known);
  out.latency_s.assign(n * n, 0);
  out.bandwidth_Bps.assign(n * n, 0);
  out.link_s.assign(n * n, 0);
  for (std::size_t i = 0; i < n * n; ++i) {
    out.latency_s[i] = known[i].latency_s;
    out.bandwidth_Bps[i] = known[i].bandwidth_Bps;
    if (i % (n + 1) != 0 && known[i].bandwidth_Bps > 0)
      out.link_s[i] = known[i].latency_s + work.payload_bytes / known[i].bandwidth_Bps;
  }
  if (work.sync_bytes.size() == out.stages)
    out.sync_bytes = work.sync_bytes;
}

} // namespace skippipe::scheduler
