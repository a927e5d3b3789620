// The actor that sums a stage's gradient over its replicas.
#pragma once

#include "actors/environment.hpp"
#include "actors/interfaces.hpp"
#include "actors/shard_worker.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace skippipe::actors {

struct reducer_options {
  std::shared_ptr<environment> env;
  std::shared_ptr<shard_worker> shard;
  stage_id stage = 0;
  iteration_no committed = 0;                  ///< The commit the shard's parameters are of.
  std::int64_t gradient_size = 0;              ///< Elements.
  std::int64_t bucket = std::int64_t{1} << 20; ///< Elements per message.
};

/// Direct reduce-scatter and all-gather: the flat gradient is cut into one part per replica; each
/// replica sends every other one its share of the other's part, sums its own part in replica order
/// (so the sum never depends on arrival) and sends the result to all. Every replica sends and
/// receives 2 (R-1)/R of the gradient, as much as a ring, in two steps instead of 2.
struct reducer_state {
  static inline constexpr const char* name = "reducer";

  void start(reducer_actor::pointer self, reducer_options options);
  void begin(const reduce_begin& order);
  void accept(inbound& message);
  void step_done(reduce_step_done& result);
  void norms_known(const reduce_done& result);
  void reset(const reduce_reset& order);

  stage_actor stage;

private:
  using key = std::pair<iteration_no, attempt_no>;

  /// The pieces (offset, elements) that replica `part` sums.
  std::vector<std::pair<std::int64_t, std::int64_t>> pieces_of(std::size_t part) const;
  bool is_piece(std::size_t part, std::int64_t offset, std::int64_t count) const;
  void send_chunk(node_id to, bool is_sum, std::int64_t offset, payload tensor);
  void take(const gradient_chunk& chunk, payload tensor);
  void submit_sum(std::int64_t offset);
  void submit(std::int64_t offset, std::function<payload()> body);
  void submit_norms();
  void drop(const gradient_chunk& chunk, node_id from, trace::reason why);

  reducer_actor::pointer self = nullptr;
  reducer_options options;
  key current_{0, 0}; ///< The running reduction, or the last one.
  bool running_ = false;
  std::vector<node_id> replicas_;
  std::uint32_t mine_ = 0;                              ///< Own index among the replicas.
  std::map<std::int64_t, std::vector<payload>> shares_; ///< Of the own pieces, by replica.
  std::map<std::int64_t, std::uint32_t> missing_;       ///< Shares still to come, per own piece.
  std::set<std::pair<std::int64_t, std::uint32_t>>
      arrived_;                ///< (offset, replica): drops duplicates.
  std::size_t unfinished_ = 0; ///< Pieces, own and foreign, not final yet.
  std::vector<inbound> early_; ///< Of peers that finished their backwards first.
  std::uint64_t transfers_ = 0;
};

reducer_actor::behavior_type reducer(reducer_actor::stateful_pointer<reducer_state> self,
                                     reducer_options options);

} // namespace skippipe::actors
