#include "actors/simulation/sim_link.hpp"

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
  if (faults_.filter && !faults_.filter(from, to, message))
    return;
  auto bytes = std::make_shared<const std::vector<std::byte>>(encode(from, message));
  do {
    const auto delay = faults_.latency_ns
                       + (faults_.jitter_ns > 0 ? static_cast<std::int64_t>(
                              random_.below(static_cast<std::uint64_t>(faults_.jitter_ns)))
                                                : 0);
    time_->after(delay, [self = shared_from_this(), from, to, bytes, tensor] {
      ++self->messages_;
      auto arrived = decode(*bytes);
      auto receiver = self->receivers_.find(to);
      if (!arrived || receiver == self->receivers_.end()) {
        ++self->undecodable_;
        return;
      }
      receiver->second.on_message({from, std::move(arrived->message), tensor});
    });
  } while (random_.chance(faults_.duplicate));
}

} // namespace skippipe::actors::simulation
