// Simulated annealing over arrangement, paths and order together.
#pragma once

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
};

/// One walk. Not thread-safe; threads run one each.
class search {
public:
  /// `fixed_arrangement`: nodes stay in their stages. `fixed_routes`: every microbatch keeps its
  /// sequence of stages (R12).
  search(const instance& problem, std::uint64_t seed, bool fixed_arrangement, bool fixed_routes);

  /// Walks from `start`, a valid plan with paths of one length; returns the best plan met.
  plan improve(const plan& start, const search_limits& limits);

  std::uint64_t iterations() const { return iterations_; }

private:
  using task = search_state::task;

  /// What a move did to the paths, to take it back.
  struct edit {
    static constexpr std::uint32_t most = 24;
    microbatch_id touched[most];
    std::uint32_t count = 0;
    std::vector<node_id> hops[most]; ///< As they were, origin first.
    node_id swapped[2];              ///< Nodes that changed roles.
    bool roles = false;
  };

  bool propose(std::uint32_t kind);
  bool change_node();
  bool exchange_stages();
  bool reorder_hops();
  bool exchange_tails();
  bool rebuild_path();
  struct insertion {
    microbatch_id m;
    double noise;
    std::uint32_t width;
  };
  void descend(const insertion& job, std::uint32_t h, double time, double back, route_state rules,
               std::uint64_t open);
  std::vector<node_id> trial_, best_trial_;
  std::vector<stage_id> pool_;
  double best_finish_ = 0;
  std::uint32_t budget_ = 0;

  bool swap_roles();
  bool swap_collision();
  bool same_paths() const;

  void touch(microbatch_id m);
  bool moves_frozen() const;
  void undo();
  void apply_roles(node_id a, node_id b);
  bool route_fits(microbatch_id m) const;
  void place(microbatch_id m, bool calm);
  void sort_moved();
  const std::vector<task>& merged();

  const instance& problem_;
  random_source random_;
  bool fixed_arrangement_, fixed_routes_;
  search_state state_;
  edit edit_;
  std::vector<double> wanted_; ///< Per task: the time a touched task asks for.
  std::vector<task> moved_, candidate_;
  std::vector<node_id> left_;          ///< Nodes of the touched microbatches before the edit.
  std::vector<std::uint8_t> is_moved_; ///< Per microbatch: touched by the present edit.
  std::uint64_t iterations_ = 0;
  std::size_t from_ = 0; ///< Place before which the candidate equals the sequence.
  std::vector<std::uint8_t> frozen_;
  bool placed_ = false; ///< The move has set wanted_ itself.
};

} // namespace skippipe::scheduler
