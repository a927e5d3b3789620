#include "actors/simulation/sim_link.hpp"

#include "actors/undelivered.hpp"

#include <algorithm>
#include <utility>

namespace skippipe::actors::simulation {

class sim_network::endpoint final : public link {
public:
  endpoint(std::weak_ptr<sim_network> network, node_id node)
      : network_(std::move(network)), node_(node) {}
  void send(node_id to, wire_message message, payload tensor) override {
    if (auto network = network_.lock())
      network->send(node_, to, std::move(message), std::move(tensor));
  }

private:
  std::weak_ptr<sim_network> network_;
  node_id node_;
};

std::shared_ptr<link> sim_network::attach(node_id node, link_receiver receiver) {
  receivers_.insert_or_assign(node, std::move(receiver));
  return std::make_shared<endpoint>(weak_from_this(), node);
}

void sim_network::send(node_id from, node_id to, wire_message message, payload tensor) {
  if (dead_.contains(from))
    return;
  if (faults_.filter && !faults_.filter(from, to, message))
    return;
  if (faults_.on_cut && faults_.on_cut(from, to))
    if (auto report = report_of(from, to, message, "cut")) {
      to = scheduler_address;
      message = std::move(*report);
      tensor = {};
    }
  auto bytes = std::make_shared<const std::vector<std::byte>>(encode(from, message));
  do {
    const auto delay = faults_.latency_ns
                       + (faults_.jitter_ns > 0 ? static_cast<std::int64_t>(
                              random_.below(static_cast<std::uint64_t>(faults_.jitter_ns)))
                                                : 0);
    time_->after(delay, [self = shared_from_this(), one = letter{from, to, bytes, tensor}] {
      self->arrive(one);
    });
  } while (random_.chance(faults_.duplicate));
}

void sim_network::arrive(const letter& one) {
  if (dead_.contains(one.to))
    return;
  if (auto dead = dead_.find(one.from); dead != dead_.end() && !random_.chance(dead->second))
    return;
  std::int64_t wait = 0;
  for (auto node : {one.from, one.to})
    if (auto until = frozen_.find(node); until != frozen_.end())
      wait = std::max(wait, until->second - time_->now_ns());
  if (wait > 0)
    return time_->after(wait, [self = shared_from_this(), one] { self->arrive(one); });
  ++messages_;
  auto arrived = decode(*one.bytes);
  auto receiver = receivers_.find(one.to);
  if (!arrived || receiver == receivers_.end()) {
    ++undecodable_;
    return;
  }
  receiver->second.on_message({one.from, std::move(arrived->message), one.tensor});
}

} // namespace skippipe::actors::simulation
