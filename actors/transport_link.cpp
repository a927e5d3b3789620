#include "actors/transport_link.hpp"

#include "actors/protocol/codec.hpp"

#include <atomic>
#include <system_error>
#include <utility>

namespace skippipe::actors {

namespace {

/// Bytes of the payload that a message announces; false where it announces none.
bool announced_bytes(const wire_message& message, std::uint64_t& bytes) {
  const auto* desc = payload_desc(message);
  bytes = 0;
  return desc != nullptr && desc->type != element_type::none && desc->checked_bytes(bytes);
}

} // namespace

class transport_link::receiver final : public transport::handler {
public:
  receiver(link_receiver upward, failure_handler failed)
      : upward_(std::move(upward)), failed_(std::move(failed)) {}

  transport::buffer place(transport::peer_id, std::span<const std::byte> header, std::size_t size,
                          const transport::buffer* offered) override {
    // Decoded again on arrival: a header is a few hundred bytes, a wrong allocation is not.
    auto message = decode(header);
    std::uint64_t bytes = 0;
    if (!message || !announced_bytes(message->message, bytes) || bytes != size) {
      ++refused;
      return {};
    }
    return offered != nullptr ? *offered : transport::buffer::allocate(size);
  }

  void on_message(transport::peer_id from, std::span<const std::byte> header,
                  transport::buffer bytes) override {
    auto message = decode(header);
    std::uint64_t announced = 0;
    if (!message || message->from != from
        || (announced_bytes(message->message, announced), announced != bytes.size())) {
      ++refused;
      return;
    }
    payload tensor;
    if (const auto* desc = payload_desc(message->message))
      tensor = {*desc, std::move(bytes)};
    upward_.on_message({message->from, std::move(message->message), std::move(tensor)});
  }

  void on_peer_lost(transport::peer_id peer, std::error_code reason) override {
    if (upward_.on_peer_lost)
      upward_.on_peer_lost(static_cast<node_id>(peer), reason.message());
  }

  void failed(node_id to, const wire_message& message, std::error_code why) const {
    if (failed_)
      failed_(to, message, why);
  }

  std::atomic<std::uint64_t> refused{0};

private:
  link_receiver upward_;
  failure_handler failed_;
};

transport_link::transport_link(node_id self, std::unique_ptr<transport::endpoint> endpoint,
                               link_receiver upward, failure_handler on_undeliverable)
    : receiver_(std::make_unique<receiver>(std::move(upward), std::move(on_undeliverable))),
      endpoint_(std::move(endpoint)), self_(self) {
  if (auto problem = endpoint_->listen(*receiver_))
    throw std::system_error(problem, "listen");
}

transport_link::~transport_link() { close(); }

void transport_link::send(node_id to, wire_message message, payload tensor) {
  auto header = encode(self_, message);
  endpoint_->send(
      to, std::move(header), std::move(tensor.data),
      [receiver = receiver_.get(), to, message = std::move(message)](std::error_code problem) {
        if (problem)
          receiver->failed(to, message, problem);
      });
}

void transport_link::connect(node_id peer, const transport::address& where) {
  endpoint_->connect(peer, where);
}

transport::address transport_link::local_address() const { return endpoint_->local_address(); }

void transport_link::close() { endpoint_->close(); }

std::uint64_t transport_link::refused() const { return receiver_->refused; }

} // namespace skippipe::actors
