#include "transport/tls/passage.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace skippipe::transport::tls {
namespace {

constexpr int pipe_bytes = 256 * 1024;
constexpr int turns = 16;

bool open_pipe(unique_fd& in, unique_fd& out) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
    return false;
  out = unique_fd(ends[0]);
  in = unique_fd(ends[1]);
  ::fcntl(ends[1], F_SETPIPE_SZ, pipe_bytes); // a refusal only costs speed
  return true;
}

} // namespace

passage::passage(unique_fd a, unique_fd b) {
  there_.from = std::move(a);
  back_.from = std::move(b);
  if (!open_pipe(there_.in, there_.out) || !open_pipe(back_.in, back_.out))
    there_.in = unique_fd{}; // `advance` fails
}

/// False when the connection is broken.
bool passage::way::move(int to, bool& progressed) {
  constexpr unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
  const auto blocked = [] { return errno == EAGAIN || errno == EINTR; };
  if (!ended && held < pipe_bytes) {
    const ssize_t n = ::splice(from.get(), nullptr, in.get(), nullptr, pipe_bytes, flags);
    if (n < 0 && !blocked())
      return false;
    ended = n == 0;
    held += n > 0 ? static_cast<std::size_t>(n) : 0;
    progressed |= n > 0;
  }
  if (held > 0) {
    const ssize_t n = ::splice(out.get(), nullptr, to, nullptr, held, flags);
    if (n == 0 || (n < 0 && !blocked()))
      return false;
    held -= n > 0 ? static_cast<std::size_t>(n) : 0;
    progressed |= n > 0;
  }
  if (ended && held == 0 && !std::exchange(told, true))
    ::shutdown(to, SHUT_WR);
  return true;
}

passage::state passage::advance() {
  for (int i = 0; i < turns; ++i) {
    bool progressed = false;
    if (!there_.move(second(), progressed) || !back_.move(first(), progressed)
        || (there_.told && back_.told))
      return state::over;
    if (!progressed)
      return state::idle;
  }
  return state::busy;
}

} // namespace skippipe::transport::tls
