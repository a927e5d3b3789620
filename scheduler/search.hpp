// Simulated annealing over arrangement, paths and order together.
#pragma once

#include "scheduler/path_insertion.hpp"
#include "scheduler/random.hpp"
#include "scheduler/search_state.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

namespace skippipe::scheduler {

/// How long and how a walk goes on.
struct search_limits {
  std::chrono::steady_clock::time_point deadline;
  double seconds = 1;               ///< Until the deadline; what cooling follows.
  std::uint64_t max_iterations = 0; ///< When not 0, cooling follows iterations instead.
  double heat = 1;                  ///< Of the start: less stays nearer to the plan it starts from.
  std::vector<std::uint8_t> frozen; ///< Per microbatch, where not empty: keeps its path.
  double lower_bound_s = 0;         ///< Nothing below this exists: stop there.
  std::uint64_t hasty = 0;          ///< Steps at first that look only at what holds up the end.
};

/// One walk. Not thread-safe; threads run one each.
class search {
public:
  /// `fixed_arrangement`: nodes stay in their stages. `fixed_routes`: every microbatch keeps its
  /// sequence of stages (R12).
  search(const instance& problem, std::uint64_t seed, bool fixed_arrangement, bool fixed_routes);
  search(const search&) = delete;
  search& operator=(const search&) = delete;

  /// Walks from `start`, a valid plan with paths of one length; returns the best plan met.
  plan improve(const plan& start, const search_limits& limits);

  std::uint64_t iterations() const { return iterations_; }

private:
  using task = search_state::task;
  static constexpr microbatch_id nobody = ~microbatch_id{0};
  static constexpr task none = ~task{0};

  /// What a move did to the paths, to take it back.
  struct edit {
    static constexpr std::uint32_t most = 24;
    microbatch_id touched[most];
    std::uint32_t count = 0;
    std::vector<node_id> hops[most]; ///< As they were, origin first.
    node_id swapped[2];              ///< Nodes that changed roles.
    bool roles = false;
  };

  enum class move { reinsert, reroute, swap_roles, swap_collision, retime };
  move pick();
  bool propose(move kind);
  task held_up_by(task t) const;
  microbatch_id critical();
  bool reinsert();
  bool reroute();
  microbatch_id neighbour(node_id n, double when);
  bool keeps_rules(microbatch_id m) const;
  void touch_in_turn(microbatch_id m);
  bool swap_roles();
  bool swap_collision();
  bool retime();

  microbatch_id related();
  void take_out();
  bool put_back();
  bool same_paths() const;
  void touch(microbatch_id m);
  bool hasty() const { return iterations_ < hasty_; }
  bool is_frozen(microbatch_id m) const { return !frozen_.empty() && frozen_[m] != 0; }
  bool moves_frozen() const;
  void undo();
  void apply_roles(node_id a, node_id b);
  void place(microbatch_id m, bool calm);
  void sort_moved();
  const std::vector<task>& merged();

  const instance& problem_;
  random_source random_;
  bool fixed_arrangement_, fixed_routes_;
  search_state state_;
  path_insertion insertion_;
  edit edit_;
  std::vector<double> wanted_; ///< Per task: the time a touched task asks for.
  std::vector<task> moved_, candidate_;
  std::vector<node_id> left_;          ///< Nodes of the touched microbatches before the edit.
  std::vector<std::uint8_t> is_moved_; ///< Per microbatch: touched by the present edit.
  std::uint64_t iterations_ = 0, hasty_ = 0;
  double limit_ = 0;     ///< Seconds until everything is done above which no move is taken.
  std::size_t from_ = 0; ///< Place before which the candidate equals the sequence.
  std::vector<std::uint8_t> frozen_;
  std::vector<std::vector<node_id>> near_; ///< Per node: the nearest others, nearest first.
  std::vector<std::uint32_t> pool_;        ///< Per stage: visits that were taken out.
  std::vector<stage_id> route_;
};

} // namespace skippipe::scheduler
