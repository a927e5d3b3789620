#include "actors/task_queue.hpp"

#include <algorithm>
#include <iterator>

namespace skippipe::actors {

using scheduler::task_kind;

namespace {
// Shares of how long the task lasts that would wait, and of the one that it waits for; found in simulation
// (actors_due_times over 300 seeds): half of the one and a quarter of the other gain two thirds as much,
// more of either hardly more.
constexpr double worth_waiting = 0.75, usual_delay = 0.4;
} // namespace

task_queue::task_queue(std::vector<node_task> order, std::uint32_t memory)
    : order_(std::move(order)), state_(order_.size(), state::waiting), by_id_(3), memory_(memory) {
  microbatch_id highest = 0;
  for (const auto& task : order_)
    highest = std::max(highest, task.id);
  for (auto& index : by_id_)
    index.assign(order_.empty() ? 0 : highest + 1, -1);
  std::int64_t held = 0, peak = 0;
  for (std::size_t i = 0; i < order_.size(); ++i) {
    by_id_[static_cast<std::size_t>(order_[i].kind)][order_[i].id] = static_cast<std::int32_t>(i);
    if (order_[i].kind == task_kind::forward) {
      unstarted_forwards_.insert(i);
      peak = std::max(peak, ++held);
    } else if (order_[i].kind == task_kind::backward) {
      --held;
    }
  }
  planned_peak_ = static_cast<std::uint32_t>(peak);
}

std::optional<std::size_t> task_queue::find(microbatch_id id, task_kind kind) const {
  if (by_id_.empty())
    return std::nullopt;
  const auto& index = by_id_[static_cast<std::size_t>(kind)];
  if (id >= index.size() || index[id] < 0)
    return std::nullopt;
  return static_cast<std::size_t>(index[id]);
}

void task_queue::make_ready(std::size_t index) {
  state_[index] = state::ready;
  ready_.insert(index);
}

bool task_queue::may_start(std::size_t index) const {
  if (order_[index].kind != task_kind::forward)
    return true;
  if (held_ >= memory_)
    return false;
  const auto overtaken = static_cast<std::uint32_t>(
      std::distance(unstarted_forwards_.begin(), unstarted_forwards_.find(index)));
  if (overtaken == 0)
    return true;
  const auto spare = memory_ - std::min(memory_, planned_peak_);
  return overtakers_.size() + overtaken <= spare;
}

std::set<std::size_t>::const_iterator task_queue::next() const {
  return std::find_if(ready_.begin(), ready_.end(), [this](auto i) { return may_start(i); });
}

void task_queue::started_at(std::size_t index, std::int64_t now_ns) {
  if (order_[index].due_ns >= 0)
    shift_ns_ = now_ns - order_[index].due_ns;
}

std::optional<std::int64_t> task_queue::wait_until(std::int64_t now_ns) {
  for (; first_waiting_ < order_.size() && state_[first_waiting_] != state::waiting;
       ++first_waiting_)
    give_up_ns_.reset();
  if (first_waiting_ == order_.size() || order_[first_waiting_].due_ns < 0)
    return std::nullopt;
  const auto chosen = next();
  if (chosen == ready_.end() || first_waiting_ >= *chosen)
    return std::nullopt;
  if (!give_up_ns_) {
    const auto& expected = order_[first_waiting_];
    const auto due = expected.due_ns + shift_ns_;
    const auto longest =
        now_ns + static_cast<std::int64_t>(worth_waiting * order_[*chosen].lasts_ns);
    if (due > longest)
      return std::nullopt; // The other one is of more use meanwhile.
    const auto late = static_cast<std::int64_t>(usual_delay * expected.lasts_ns);
    give_up_ns_ = std::min(due + late, longest);
  }
  if (*give_up_ns_ <= now_ns)
    return std::nullopt;
  return give_up_ns_;
}

std::optional<std::size_t> task_queue::start_next() {
  const auto next = this->next();
  if (next == ready_.end())
    return std::nullopt;
  const auto index = *next;
  ready_.erase(next);
  state_[index] = state::running;
  started_.push_back(index);
  if (order_[index].kind == task_kind::forward) {
    if (*unstarted_forwards_.begin() != index)
      overtakers_.insert(order_[index].id);
    unstarted_forwards_.erase(index);
    peak_held_ = std::max(peak_held_, ++held_);
  }
  return index;
}

void task_queue::finish(std::size_t index) {
  state_[index] = state::done;
  ++done_;
  if (order_[index].kind == task_kind::backward) {
    --held_;
    overtakers_.erase(order_[index].id);
  }
}

} // namespace skippipe::actors
