// The one change of stages that does a plan most good.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/path_insertion.hpp"
#include "scheduler/plan.hpp"
#include "scheduler/random.hpp"
#include "scheduler/search_state.hpp"

#include <chrono>
#include <cstdint>
#include <vector>

namespace skippipe::scheduler {

/// Two nodes of different stages trade places, or one goes over to another stage; the microbatches of both
/// are taken out and put back where they fit best. Tries each candidate once, from the same plan.
class exchange {
public:
  /// `frozen` per microbatch, may be empty: keeps its path. Sizes of the stages may change when
  /// `free_sizes`.
  exchange(const instance& problem, const std::vector<std::uint8_t>& frozen, bool free_sizes,
           std::uint64_t seed);
  exchange(const exchange&) = delete;
  exchange& operator=(const exchange&) = delete;

  /// `start` after the best change that helps stage `needy`, or `start` itself when none is better by
  /// more than `worth` (a share of its makespan) for every node that moves. Stops at the deadline.
  plan improve(const plan& start, stage_id needy, double worth,
               std::chrono::steady_clock::time_point deadline);

private:
  using task = search_state::task;

  /// `a` and `b` trade places; or `a` goes over to stage `to`, and its work to its peers.
  struct change {
    node_id a, b;
    stage_id to;
    bool trade;
  };
  std::vector<change> candidates(stage_id needy);
  bool attempt(const change& c);
  void put_roles(const change& c);
  bool put_back();

  const instance& problem_;
  const std::vector<std::uint8_t>& frozen_;
  bool free_sizes_;
  random_source random_;
  search_state state_;
  path_insertion insertion_;
  std::vector<microbatch_id> touched_;
  std::vector<node_id> hops_;       ///< All of them, as they were.
  std::vector<double> wanted_;      ///< Per task: its start.
  std::vector<std::uint32_t> pool_; ///< Per stage: visits of the touched still to be given.
  std::vector<task> order_;
};

} // namespace skippipe::scheduler
