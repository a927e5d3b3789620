// Insertion scheduling: puts whole microbatches into a timetable, one after the other.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/plan.hpp"

#include <cstdint>
#include <vector>

namespace skippipe::scheduler {

/// Times at which every step of a path may run, given everything placed before.
struct placement {
  std::vector<double> start, end; ///< Per step, seconds.
  double finish() const { return end.back(); }
};

/// Every node's calendar of tasks and of held slots. Whatever is placed keeps its times, so any
/// sequence of insertions gives an order that fits the memory and cannot deadlock (R4).
class timetable {
public:
  /// `problem` must outlive the timetable.
  explicit timetable(const instance& problem);

  /// The earliest times for `p` in the gaps that are left; always exists. Memory is respected:
  /// where a slot is missing, the forward waits until one is free for as long as it is needed.
  placement fit(const path& p) const;

  /// Chooses a node for every stage of `stages` from `arrangement`, hop by hop, such that the
  /// forward there ends (and could return) earliest.
  path choose_nodes(microbatch_id mb, node_id origin, const std::vector<stage_id>& stages,
                    const std::vector<std::vector<node_id>>& arrangement) const;

  void insert(const path& p, const placement& times);

  /// Per node: its tasks by start time.
  std::vector<std::vector<planned_task>> order() const;

private:
  struct busy {
    double start, end;
    planned_task task;
  };
  /// From this time on (to the next level) so many slots are held.
  struct level {
    double from;
    std::uint32_t held;
  };
  struct calendar {
    std::vector<busy> tasks;   ///< By start.
    std::vector<level> levels; ///< By time; the first one is at 0.
    double shortest = 0;       ///< Least seconds of an F or a B here.
    // What lies before has no room left for any F or B, for any slot, or is too long ago to be looked
    // at: searches begin here, so that a plan of many microbatches takes time in proportion to
    // their number.
    std::size_t packed_tasks = 0, packed_levels = 0;
  };

  static constexpr std::size_t most_open = 128; ///< Entries of a calendar that searches look at.

  double gap(node_id n, double ready, double seconds) const;
  double slot(node_id n, double from, double until, double least) const;
  double free_slot(node_id n) const;
  void hold(node_id n, double start, double end);

  const instance& problem_;
  std::vector<calendar> nodes_;
};

} // namespace skippipe::scheduler
