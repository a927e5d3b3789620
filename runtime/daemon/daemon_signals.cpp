#include "runtime/daemon/daemon_signals.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <utility>

namespace skippipe::runtime::daemon {

daemon_signals::daemon_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP})
    sigaddset(&set, number);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  bell_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

daemon_signals::~daemon_signals() {
  ::close(signals_);
  ::close(bell_);
}

void daemon_signals::tell(event what) {
  {
    const std::lock_guard guard{mutex_};
    if (!told_)
      told_ = std::move(what);
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(bell_, &one, sizeof one);
}

std::optional<daemon_signals::event> daemon_signals::wait(std::chrono::milliseconds patience) {
  pollfd fds[2] = {{signals_, POLLIN, 0}, {bell_, POLLIN, 0}};
  if (::poll(fds, 2, static_cast<int>(patience.count())) <= 0)
    return std::nullopt;
  std::uint64_t rung = 0;
  if (::read(bell_, &rung, sizeof rung) == sizeof rung) {
    const std::lock_guard guard{mutex_};
    return std::exchange(told_, std::nullopt);
  }
  signalfd_siginfo info{};
  if (::read(signals_, &info, sizeof info) != sizeof info)
    return std::nullopt;
  switch (info.ssi_signo) {
    case SIGTERM:
      return event{kind::terminate, "SIGTERM"};
    case SIGHUP:
      return event{kind::reload, "SIGHUP"};
    default:
      return event{kind::interrupt, "SIGINT"};
  }
}

} // namespace skippipe::runtime::daemon
