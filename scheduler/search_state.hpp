// The solution a search walks on: paths plus one global task sequence, timed in linear time.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/path_rules.hpp"
#include "scheduler/plan.hpp"

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace skippipe::scheduler {

/// Paths of equal length, the arrangement they use and a priority sequence of all tasks.
///
/// The sequence lists every task after its predecessor. Timing runs through it once: each task
/// starts as early as its node and input allow; a forward that finds no free slot waits, with
/// everything behind it in its microbatch, until a backward on its node frees one. So memory is
/// never exceeded, and a sequence that gets stuck is simply not a solution (R4).
class search_state {
public:
  using task = std::uint32_t;

  /// `problem` must outlive the state.
  explicit search_state(const instance& problem);

  /// Takes over paths (all of one length) and their order, which must be valid.
  void load(const plan& p);
  plan to_plan(const std::string& strategy) const;

  std::uint32_t hops() const { return hops_; }
  std::uint32_t microbatches() const { return microbatches_; }
  const instance& problem() const { return problem_; }

  /// What a search minimises: the seconds until everything is done (the makespan or, where gradients
  /// are reduced, the end of the last stage's reduction) plus a small share of every origin's own end,
  /// so that progress off the critical path counts, too.
  struct score {
    double cost = std::numeric_limits<double>::infinity();
    double seconds = std::numeric_limits<double>::infinity();
  };

  // Solution.
  std::vector<stage_id> stage_of;             ///< Per node.
  std::vector<std::vector<node_id>> nodes_of; ///< Per stage.
  std::vector<std::uint32_t> visits;          ///< Per stage.
  std::vector<node_id> hop_node;              ///< [microbatch * (hops + 1) + hop]; hop 0: origin.
  std::vector<task> sequence;                 ///< Sorted by start time once committed.
  std::vector<double> start, end;             ///< Per task, of the committed solution.
  score value;

  // Tasks: id = microbatch * width + 1 + step; id - 1 of step 0 is a stand-in that ends at 0.
  std::uint32_t width() const { return width_; }
  task first_task(microbatch_id m) const { return m * width_ + 1; }
  std::uint32_t steps() const { return width_ - 1; }
  node_id node_of(task t) const { return info_[t].node; }
  double seconds(task t) const { return info_[t].seconds; }
  double link_to(task t) const { return info_[t].link; }
  /// Seconds that the reduction of its stage takes after a backward; 0 where nothing follows.
  double reduction_after(task t) const {
    return info_[t].held < 0 ? reduction_s_[stage_of[info_[t].node]] : 0;
  }
  /// Place of `t` in the committed sequence.
  std::uint32_t place_of(task t) const { return place_[t]; }

  node_id& hop_at(microbatch_id m, std::uint32_t h) { return hop_node[m * (hops_ + 1) + h]; }
  node_id hop_at(microbatch_id m, std::uint32_t h) const { return hop_node[m * (hops_ + 1) + h]; }

  /// Brings node, seconds and link of the tasks of `m` in line with its hops.
  void refresh(microbatch_id m);
  /// To be called when other nodes serve stage `s`.
  void regroup(stage_id s);

  /// Times `order` (a linear extension that equals the committed sequence before `from`) with the
  /// present paths. Infinite when it gets stuck, or as soon as it must take longer than `limit`.
  score time(const std::vector<task>& order, std::size_t from,
             double limit = std::numeric_limits<double>::infinity());

  /// What `time` would say of the committed sequence with the tasks `moved` (all those of the
  /// microbatches marked in `is_moved`, sorted by `wanted`) at the places their wanted times give
  /// them; found by following only what changes. `left` are the nodes that those microbatches used
  /// so far. Nothing when a forward would find no slot: then `time` has to sort that out.
  std::optional<score> peek(const std::vector<task>& moved, const std::vector<double>& wanted,
                            const std::vector<std::uint8_t>& is_moved,
                            const std::vector<node_id>& left, double limit);

  /// Makes the solution just timed the current one.
  void commit(const std::vector<task>& order, std::size_t from, const score& s);

  /// Earliest start at or after `ready` in a gap of the committed calendar of node `n`, tasks of
  /// the microbatches marked in `without` left out.
  double gap(node_id n, double ready, double seconds,
             const std::vector<std::uint8_t>& without) const;

  /// Likewise for the forward `t`, where a slot is free for as long as its microbatch would hold it
  /// if nothing made it wait.
  double gap_with_slot(task t, double ready, const std::vector<std::uint8_t>& without) const;

  struct busy {
    double start, end;
    microbatch_id owner;
    task id;
    std::int32_t held; ///< +1 for F, -1 for B, 0 for L.
  };
  /// Place of `t` in its node's calendar.
  std::uint32_t index_of(task t) const { return index_[t]; }
  /// The tasks of node `n` in committed order.
  const std::vector<busy>& calendar(node_id n) const { return calendar_[n]; }

private:
  static constexpr task none = ~task{0};
  struct task_info {
    double seconds, link;
    double tail; ///< Seconds from its end to the end of its path when nothing has to wait.
    node_id node;
    std::int32_t held; ///< +1 for F, -1 for B, 0 for L.
  };
  struct node_state {
    double free = 0;
    std::uint32_t held = 0, memory = 0;
    std::uint32_t listed = 0; ///< Tasks in its calendar.
    task waits = ~task{0};    ///< First forward that waits for a slot.
  };

  bool slotless(const task_info& x) const {
    return x.held > 0 && nodes_[x.node].held >= nodes_[x.node].memory;
  }
  void run(task t);
  void queue(task t);
  void put_off(task t);
  score summary();
  double reduced_at();

  // Following changes (peek).
  struct change {
    double key; ///< Committed or wanted start: changes are followed in this order.
    std::uint32_t rank;
    task what;
  };
  struct detour {               ///< A node whose tasks change.
    std::vector<task> inserted; ///< By wanted start.
    std::uint32_t epoch = 0;
  };
  void follow(task t, double key, std::uint32_t rank);
  std::uint32_t epoch_ = 0;
  std::vector<std::uint32_t> queued_, changed_; ///< Per task: the epoch it was last so.
  std::vector<std::uint32_t> index_;            ///< Per task: where it is in its node's calendar.
  std::vector<change> changes_;                 ///< A heap.
  std::vector<detour> detours_;                 ///< Per node.
  std::vector<node_id> touched_nodes_;

  static constexpr std::size_t stride = 32; ///< Tasks between checkpoints.

  const instance& problem_;
  std::uint32_t hops_ = 0, microbatches_ = 0, width_ = 0;
  std::vector<task_info> info_;
  std::vector<std::uint32_t> place_;

  // Timing.
  std::vector<node_state> nodes_;
  std::vector<node_state> checkpoints_; ///< [place / stride][node].
  std::vector<double> candidate_end_;
  std::vector<std::uint8_t> late_; ///< Per task: put off until its turn comes.
  std::vector<task> wait_next_;
  std::vector<task> executed_; ///< What was run, once something had been put off.
  std::uint32_t late_count_ = 0;
  std::vector<double> origin_end_;
  const bool reduces_;
  std::vector<double> reduction_s_, mean_reduction_s_; ///< Per stage, where gradients are reduced.
  std::vector<double> stage_end_;                      ///< Scratch.
  double reference_ = 1; ///< Seconds; scales the share of the origins' ends.

  std::vector<std::vector<busy>> calendar_;
};

} // namespace skippipe::scheduler
