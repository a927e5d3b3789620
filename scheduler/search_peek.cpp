// The score of a change by following only what it changes.
#include "scheduler/search_state.hpp"

#include <algorithm>

namespace skippipe::scheduler {

void search_state::follow(task t, double key, std::uint32_t rank) {
  if (queued_[t] == epoch_)
    return;
  queued_[t] = epoch_;
  changes_.push_back({key, rank, t});
  std::push_heap(changes_.begin(), changes_.end(), [](const change& a, const change& b) {
    return a.key != b.key ? a.key > b.key : a.rank > b.rank;
  });
}

std::optional<search_state::score> search_state::peek(const std::vector<task>& moved,
                                                      const std::vector<double>& wanted,
                                                      const std::vector<std::uint8_t>& is_moved,
                                                      const std::vector<node_id>& left,
                                                      double limit) {
  ++epoch_;
  changes_.clear();
  touched_nodes_.clear();
  const auto touch = [&](node_id n) -> detour& {
    detour& d = detours_[n];
    if (d.epoch != epoch_) {
      d.epoch = epoch_;
      d.inserted.clear();
      touched_nodes_.push_back(n);
    }
    return d;
  };
  for (const task t : moved)
    touch(info_[t].node).inserted.push_back(t);
  for (const node_id n : left)
    touch(n);

  const auto after_moved = static_cast<std::uint32_t>(moved.size());
  const auto moving = [&](task t) { return is_moved[t / width_] != 0; };
  // Slots, in the new order of every node whose tasks change; and what follows a task that leaves.
  for (const node_id n : touched_nodes_) {
    const auto& inserted = detours_[n].inserted;
    const std::uint32_t memory = nodes_[n].memory;
    std::uint32_t held = 0;
    std::size_t next = 0;
    bool gone = false;
    const auto pass = [&](task t) {
      const auto h = info_[t].held;
      if (h > 0 && held >= memory)
        return false;
      held += static_cast<std::uint32_t>(h);
      return true;
    };
    for (const busy& b : calendar_[n]) {
      if (is_moved[b.owner]) {
        gone = true;
        continue;
      }
      while (next < inserted.size() && wanted[inserted[next]] <= b.start)
        if (!pass(inserted[next++]))
          return std::nullopt;
      if (!pass(b.id))
        return std::nullopt;
      if (gone)
        follow(b.id, b.start, after_moved + place_[b.id]);
      gone = false;
    }
    for (; next < inserted.size(); ++next)
      if (!pass(inserted[next]))
        return std::nullopt;
  }
  for (std::uint32_t i = 0; i < moved.size(); ++i)
    follow(moved[i], wanted[moved[i]], i);

  const auto end_of = [&](task t) { return changed_[t] == epoch_ ? candidate_end_[t] : end[t]; };
  const auto sooner = [](const change& a, const change& b) {
    return a.key != b.key ? a.key > b.key : a.rank > b.rank;
  };
  while (!changes_.empty()) {
    std::pop_heap(changes_.begin(), changes_.end(), sooner);
    const change c = changes_.back();
    changes_.pop_back();
    const task t = c.what;
    const task_info& x = info_[t];
    const bool placed = moving(t);
    const auto& calendar = calendar_[x.node];
    const detour& way = detours_[x.node];
    const bool plain = way.epoch != epoch_;

    // Neighbours on the node.
    std::size_t at = 0; // The first entry of the calendar at or after t, t itself left out.
    if (placed)
      at = static_cast<std::size_t>(
          std::lower_bound(calendar.begin(), calendar.end(), c.key,
                           [](const busy& b, double key) { return b.start < key; })
          - calendar.begin());
    else
      at = index_[t];
    std::size_t before = at; // One past the predecessor.
    while (before > 0 && is_moved[calendar[before - 1].owner])
      --before;
    std::size_t after = placed ? at : at + 1;
    while (after < calendar.size() && is_moved[calendar[after].owner])
      ++after;
    task pred = before > 0 ? calendar[before - 1].id : none;
    task succ = after < calendar.size() ? calendar[after].id : none;
    if (!plain && !way.inserted.empty()) {
      const auto& list = way.inserted;
      if (placed) {
        const auto self = std::find(list.begin(), list.end(), t);
        if (self != list.begin() && (pred == none || wanted[*(self - 1)] > start[pred]))
          pred = *(self - 1);
        if (self + 1 != list.end() && (succ == none || wanted[*(self + 1)] <= start[succ]))
          succ = *(self + 1);
      } else {
        auto it = list.begin();
        while (it != list.end() && wanted[*it] <= c.key)
          ++it;
        if (it != list.begin() && (pred == none || wanted[*(it - 1)] > start[pred]))
          pred = *(it - 1);
        if (it != list.end() && (succ == none || wanted[*it] <= start[succ]))
          succ = *it;
      }
    }
    const double free = pred == none ? 0 : end_of(pred);
    const bool first = t % width_ == 1;
    const double done = std::max(free, (first ? 0 : end_of(t - 1)) + x.link) + x.seconds;
    if (done + x.tail > limit)
      return score{};
    if (!placed && done == end[t])
      continue;
    candidate_end_[t] = done;
    changed_[t] = epoch_;
    if (succ != none) {
      if (moving(succ))
        follow(succ, wanted[succ], 0);
      else
        follow(succ, start[succ], after_moved + place_[succ]);
    }
    if (!placed && t % width_ < steps() && !moving(t + 1))
      follow(t + 1, start[t + 1], after_moved + place_[t + 1]);
  }
  // The summary asks for the last step of every path, or for all that reductions follow.
  const std::uint32_t backwards = reduces_ ? hops_ + 1 : 1;
  for (microbatch_id m = 0; m < microbatches_; ++m)
    for (std::uint32_t i = 0; i < backwards; ++i) {
      const task t = first_task(m) + steps() - 1 - i;
      if (changed_[t] != epoch_)
        candidate_end_[t] = end[t];
    }
  return summary();
}

} // namespace skippipe::scheduler
