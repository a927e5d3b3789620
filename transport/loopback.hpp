// In-process transport: the nodes of an embedded cluster share one hub.
//
// No bytes are copied unless the receiver asks for it: `place` is offered the sender's own buffer.
//
// Threads: a message is handed over on the sending thread, before `send` returns, because waking
// another thread costs more than the hand-over. When the receiver is already running a callback
// elsewhere, that thread takes the message over. A `send` made inside a callback only queues; the
// outermost call on that thread delivers it. So callbacks never nest, whatever they send, and a
// deadline is looked at only when the message's turn comes.
#pragma once

#include "transport/transport.hpp"

#include <memory>

namespace skippipe::transport {

namespace loopback_detail {
struct hub_state;
}

/// Connects endpoints of one process. Copies share; endpoints keep what they need alive.
class loopback_hub {
public:
  loopback_hub();

  /// `self` is how other endpoints of this hub name it, from its `listen` to its `close`.
  std::unique_ptr<endpoint> make_endpoint(peer_id self, const limits& bounds = {}) const;

private:
  std::shared_ptr<loopback_detail::hub_state> state_;
};

} // namespace skippipe::transport
