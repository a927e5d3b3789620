#include "runtime/gate/handover.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <system_error>

namespace skippipe::runtime::gate {

handover::handover() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
    throw std::system_error(errno, std::generic_category(), "socketpair");
  bell_ = transport::unique_fd(ends[0]);
  listener_ = transport::unique_fd(ends[1]);
}

bool handover::push(plain_connection connection) {
  {
    const std::lock_guard guard(mutex_);
    queue_.push_back(std::move(connection));
  }
  const char ring = 0;
  if (::send(bell_.get(), &ring, 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
    return true;
  const std::lock_guard guard(mutex_);
  if (!queue_.empty())
    queue_.pop_back(); // only the gate's thread pushes
  return false;
}

std::optional<plain_connection> handover::pop() {
  const std::lock_guard guard(mutex_);
  if (queue_.empty())
    return std::nullopt;
  auto first = std::move(queue_.front());
  queue_.pop_front();
  return first;
}

} // namespace skippipe::runtime::gate
