// What a node's actors need from the world around them; everything replaceable in simulation (R11).
#pragma once

#include "actors/clock.hpp"
#include "actors/executor.hpp"
#include "actors/link.hpp"
#include "actors/trace/ring.hpp"

#include <memory>

namespace skippipe::actors {

/// Shared by the actors of one node; never by two nodes.
struct environment {
  node_id node = 0;
  incarnation_no incarnation = 1;
  std::shared_ptr<link> net;
  std::shared_ptr<executor> compute;    ///< The device's strand: owns the shard's tensors.
  std::shared_ptr<executor> background; ///< Files: snapshots, journal.
  std::shared_ptr<const clock> time;
  std::shared_ptr<trace::trace_ring> ring;

  /// Records an event, filling in time and node.
  void record(trace::event e) const {
    e.time_ns = time->now_ns();
    e.node = node;
    ring->record(e);
  }
};

} // namespace skippipe::actors
