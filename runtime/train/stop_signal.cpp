#include "runtime/train/stop_signal.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <utility>

namespace skippipe::runtime {

stop_signal::stop_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signals_ = ::signalfd(-1, &set, SFD_CLOEXEC);
  event_ = ::eventfd(0, EFD_CLOEXEC);
}

stop_signal::~stop_signal() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(event_, &one, sizeof one);
  if (watcher_.joinable())
    watcher_.join();
  ::close(signals_);
  ::close(event_);
}

void stop_signal::watch(std::function<void()> on_stop, std::function<void()> on_end) {
  watcher_ = std::thread{[this, on_stop = std::move(on_stop), on_end = std::move(on_end)] {
    bool asked = false;
    while (true) {
      pollfd fds[2] = {{signals_, POLLIN, 0}, {event_, POLLIN, 0}};
      if (::poll(fds, 2, -1) < 0)
        continue;
      if (fds[1].revents != 0)
        return;
      signalfd_siginfo info;
      if (::read(signals_, &info, sizeof info) != sizeof info)
        continue;
      if (std::exchange(asked, true)) {
        on_end();
        ::_exit(130);
      }
      on_stop();
    }
  }};
}

} // namespace skippipe::runtime
