// Finds the best way for one microbatch through what the others leave free.
#pragma once

#include "scheduler/random.hpp"
#include "scheduler/search_state.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <vector>

namespace skippipe::scheduler {

/// Takes microbatches out of a committed solution and puts them back one at a time, by beam search
/// over stages and nodes through the gaps and free slots (R4) of a working copy of the calendars. A
/// gap is as long as it can be when what follows it is delayed without the whole ending too late.
/// Delays that add up show when the result is timed.
class path_insertion {
public:
  using task = search_state::task;

  static constexpr stage_id most_stages = 64; ///< That problems may have.

  /// `state` must outlive it.
  explicit path_insertion(const search_state& state) : state_(state) {}

  /// Sizes everything for what `state` has loaded.
  void load();

  /// A new working copy, equal to the committed solution. Cheap: calendars are copied when changed.
  void begin();
  /// Takes `m` out, along the hops that the state has now.
  void remove(microbatch_id m);
  /// To be called when all are taken out: each task that stays in may be delayed for as long as what
  /// depends on it can still be over by `limit` (seconds); 0 delays none.
  void allow_delays(double limit);

  /// What a path may look like.
  struct choice {
    std::uint64_t allowed = 0;       ///< Stages it may visit, as bits.
    std::uint64_t required = 0;      ///< Stages it has to.
    const stage_id* route = nullptr; ///< The sequence of stages where it is given, else null.
    double limit = std::numeric_limits<double>::infinity(); ///< Seconds: later is no use.
  };

  struct found {
    std::vector<node_id> hops; ///< Origin first.
    std::vector<double> start; ///< Per step, seconds.
    std::vector<double> turn;  ///< Per step: the start that gives it its place in the order.
    double finish = std::numeric_limits<double>::infinity();
  };

  /// The way from `origin`, starting at `soonest` or after, that comes back first as far as the beam
  /// sees; null when it sees none. `random` adds a little variety.
  const found* find(node_id origin, double soonest, const choice& c, random_source& random);

  /// Puts `m`, whose hops are those of `way` by now, where that says.
  void insert(microbatch_id m, const found& way);

private:
  static constexpr std::size_t width = 8; ///< Of the beam.
  /// In working copies `start` is the turn.
  using busy = search_state::busy;
  /// A time, and the turn that goes with it.
  struct moment {
    double seconds, turn;
  };
  struct window {
    moment start, until; ///< The slot is free until then.
  };
  /// Where a node neither works nor lacks a slot.
  struct opening {
    double start;
    moment end, until; ///< The slot is free until then.
  };
  struct partial {
    double key, end, back;
    double limit; ///< The path has to be over by then for every slot to stay free.
    window taken;
    std::uint64_t used;
    route_state rules;
    node_id node;
    std::uint32_t parent;
  };

  const std::vector<busy>& calendar(node_id n) const {
    return epochs_[n] == epoch_ ? work_[n] : state_.calendar(n);
  }
  std::vector<busy>& own(node_id n);
  window first_window(node_id n, double ready, double seconds, double hold, double turn);
  const std::vector<opening>& openings(node_id n);
  void list_openings(node_id n, const std::vector<busy>& tasks, std::vector<opening>& list) const;
  moment gap(node_id n, double ready, double seconds, double turn) const;
  /// Latest start; what is there may stay so in any case.
  double latest(const busy& b) const { return std::max(b.start, latest_[b.id]); }
  void delay_after(std::vector<busy>& tasks, std::size_t at);
  /// The best of one length, best first.
  struct level {
    std::array<partial, width> best;
    std::size_t count = 0;
    const partial* begin() const { return best.data(); }
    const partial* end() const { return best.data() + count; }
    bool full() const { return count == width; }
    void add(const partial& p);
  };
  void finish(node_id origin, std::uint32_t last);

  const search_state& state_;
  std::vector<std::vector<busy>> work_;
  /// Gaps in which a forward may fit, of one calendar.
  struct opening_list {
    std::vector<opening> list;
    std::uint32_t epoch = 0; ///< Of the working copy that it belongs to.
  };
  std::vector<opening_list> openings_; ///< Per node.
  std::vector<double> link_to_;        ///< [to * nodes + from], seconds.
  std::vector<route_state> rules_;     ///< Per stage: after a visit there.
  std::vector<double> least_forward_;  ///< Per node, seconds.
  std::vector<std::uint32_t> epochs_;
  std::uint32_t epoch_ = 0;
  std::vector<level> levels_;     ///< Per hop.
  std::vector<task_costs> costs_; ///< [node * stages + stage].
  found best_, trial_;
  bool found_ = false;
  std::vector<double> holds_; ///< Per hop: seconds that what was taken out held a slot, in sum.
  std::vector<microbatch_id> removed_;
  std::vector<std::uint8_t> is_out_; ///< Per microbatch: not where the committed solution has it.
  std::vector<double> latest_;       ///< Per task: its latest start; of what was put in, its start.
  std::vector<double> node_free_;    ///< Scratch, per node.
  double least_ = 0;                 ///< Seconds of F and B on the fastest node.
};

} // namespace skippipe::scheduler
