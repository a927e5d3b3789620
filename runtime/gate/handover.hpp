// From the gate's thread to CAF's: connections in a queue, and a socket that wakes CAF's event loop.
#pragma once

#include "runtime/gate/gate.hpp"

#include <deque>
#include <mutex>
#include <optional>

namespace skippipe::runtime::gate {

class handover {
public:
  /// Throws std::system_error without descriptors.
  handover();

  /// CAF's end: readable, one byte per connection. Taken once.
  transport::unique_fd take_listener() { return std::move(listener_); }

  /// False when CAF has closed its end or does not keep up.
  bool push(plain_connection connection);
  std::optional<plain_connection> pop();

private:
  transport::unique_fd bell_, listener_;
  std::mutex mutex_;
  std::deque<plain_connection> queue_;
};

} // namespace skippipe::runtime::gate
