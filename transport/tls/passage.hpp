// Two joined sockets: what one receives the other sends, until both have ended.
#pragma once

#include "transport/progress.hpp"

#include <cstddef>

namespace skippipe::transport::tls {

/// Moves bytes inside the kernel. Knows neither epoll nor time.
class passage {
public:
  /// Both connected and non-blocking.
  passage(unique_fd a, unique_fd b);

  enum class state { idle, busy, over };
  /// Moves what the sockets allow; `busy`: there was more than one turn's worth.
  state advance();

  int first() const noexcept { return there_.from.get(); }
  int second() const noexcept { return back_.from.get(); }

private:
  struct way {
    unique_fd from, in, out; ///< Source, and the pipe's two ends.
    std::size_t held = 0;    ///< Bytes in the pipe.
    bool ended = false, told = false;
    bool move(int to, bool& progressed);
  };
  way there_, back_;
};

} // namespace skippipe::transport::tls
