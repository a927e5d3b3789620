// A network on the virtual clock that delays, duplicates and reorders.
#pragma once

#include "actors/link.hpp"
#include "actors/protocol/codec.hpp"
#include "actors/simulation/world.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace skippipe::actors::simulation {

struct network_faults {
  std::int64_t latency_ns = 1'000'000;
  std::int64_t jitter_ns = 0; ///< Each message waits up to this much longer: so they reorder.
  double duplicate = 0;       ///< Chance that a message comes twice (or more).
  /// Called for every message as it is sent; false loses it. For tests that break the protocol.
  std::function<bool(node_id from, node_id to, wire_message&)> filter;
  /// Whether nothing gets from one to the other; the sender notices and reports it, as a real link's
  /// owner does.
  std::function<bool(node_id from, node_id to)> on_cut;
};

/// Connects the links of one simulated cluster; encodes and decodes every message like a real one.
class sim_network : public std::enable_shared_from_this<sim_network> {
public:
  sim_network(std::shared_ptr<world> time, network_faults faults, std::uint64_t seed)
      : time_(std::move(time)), faults_(std::move(faults)), random_(seed) {}

  std::shared_ptr<link> attach(node_id node, link_receiver receiver);
  /// Nothing is sent by or comes to this node any more; each message that it has on its way still
  /// comes with the chance `late`.
  void kill(node_id node, double late = 0) { dead_[node] = late; }
  /// What the node sends or is sent waits until `until_ns`, then comes all the same: a zombie's.
  void freeze(node_id node, std::int64_t until_ns) { frozen_[node] = until_ns; }
  std::uint64_t messages() const { return messages_; }
  std::uint64_t undecodable() const { return undecodable_; }

private:
  class endpoint;
  void send(node_id from, node_id to, wire_message message, payload tensor);
  struct letter {
    node_id from = 0, to = 0;
    std::shared_ptr<const std::vector<std::byte>> bytes;
    payload tensor;
  };
  void arrive(const letter& one);

  std::shared_ptr<world> time_;
  network_faults faults_;
  random_source random_;
  std::map<node_id, link_receiver> receivers_;
  std::map<node_id, double> dead_;         ///< Chance that what it sent before still comes.
  std::map<node_id, std::int64_t> frozen_; ///< Until when.
  std::uint64_t messages_ = 0;
  std::uint64_t undecodable_ = 0;
};

} // namespace skippipe::actors::simulation
