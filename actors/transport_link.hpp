// A link over a transport endpoint: header and payload travel together.
#pragma once

#include "actors/link.hpp"
#include "transport/transport.hpp"

#include <functional>
#include <memory>

namespace skippipe::actors {

/// Encodes and sends; decodes, checks (R8) and delivers. Sends from any thread. What cannot be
/// decoded, claims another sender or has a payload of another size is refused and counted.
class transport_link final : public link {
public:
  /// `on_undeliverable` is told of a transfer that failed: from any thread, must not block.
  using failure_handler = std::function<void(node_id to, const wire_message&, std::error_code)>;

  transport_link(node_id self, std::unique_ptr<transport::endpoint> endpoint,
                 link_receiver receiver, failure_handler on_undeliverable = {});
  ~transport_link() override;

  void send(node_id to, wire_message message, payload tensor) override;

  /// Reaches `peer` at `where`.
  void connect(node_id peer, const transport::address& where);
  transport::address local_address() const;
  void close();                  ///< Nothing is delivered once it returns.
  std::uint64_t refused() const; ///< Messages that were not delivered because of what they held.

private:
  class receiver;
  std::unique_ptr<receiver> receiver_;
  std::unique_ptr<transport::endpoint> endpoint_;
  node_id self_;
};

} // namespace skippipe::actors
