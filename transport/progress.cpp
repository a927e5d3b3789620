#include "transport/progress.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace skippipe::transport {

unique_fd::~unique_fd() {
  if (fd_ >= 0)
    ::close(fd_);
}

progress_thread::progress_thread() = default;

progress_thread::~progress_thread() {
  if (thread_.joinable()) {
    post([this] { finish(); });
    join();
  }
}

std::error_code progress_thread::start(hooks h) {
  hooks_ = std::move(h);
  epoll_ = unique_fd(::epoll_create1(EPOLL_CLOEXEC));
  wake_ = unique_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  epoll_event wake{};
  wake.events = EPOLLIN;
  wake.data.u64 = static_cast<std::uint32_t>(wake_.get());
  if (!epoll_ || !wake_ || ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &wake) != 0)
    return {errno, std::generic_category()};
  {
    const std::lock_guard guard(mutex_);
    open_ = true;
  }
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& e) {
    const std::lock_guard guard(mutex_);
    open_ = false;
    return e.code();
  }
  return {};
}

bool progress_thread::post(task t) {
  const std::lock_guard guard(mutex_);
  if (!open_)
    return false;
  tasks_.push_back(std::move(t));
  if (asleep_) {
    asleep_ = false;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
  }
  return true;
}

void progress_thread::join() {
  if (thread_.joinable())
    thread_.join();
}

void progress_thread::watch(int fd, std::uint32_t events,
                            std::function<void(std::uint32_t)> on_event) {
  const std::uint64_t generation = ++last_generation_ & 0xffffffffu;
  watchers_[fd] = {std::move(on_event), generation};
  epoll_event e{};
  e.events = events;
  e.data.u64 = generation << 32 | static_cast<std::uint32_t>(fd);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &e);
}

void progress_thread::rewatch(int fd, std::uint32_t events) {
  epoll_event e{};
  e.events = events;
  e.data.u64 = watchers_.at(fd).generation << 32 | static_cast<std::uint32_t>(fd);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &e);
}

void progress_thread::unwatch(int fd) {
  if (watchers_.erase(fd) > 0)
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

progress_thread::timer_id progress_thread::at(clock::time_point when, task t) {
  const timer_id id{when, ++last_timer_};
  timers_.emplace(id, std::move(t));
  return id;
}

bool progress_thread::run_tasks() {
  std::vector<task> batch;
  {
    const std::lock_guard guard(mutex_);
    batch.swap(tasks_);
  }
  for (auto& t : batch) {
    t();
    t = nullptr; // releases what it captured before the next one runs
  }
  return !batch.empty();
}

bool progress_thread::run_timers() {
  if (timers_.empty() || timers_.begin()->first.first > clock::now())
    return false;
  const auto now = clock::now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    const task t = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    t();
  }
  return true;
}

progress_thread::clock::duration progress_thread::sleep_time() const {
  constexpr clock::duration longest = std::chrono::minutes(1);
  if (timers_.empty())
    return longest;
  return std::clamp(timers_.begin()->first.first - clock::now(), clock::duration::zero(), longest);
}

void progress_thread::wait(clock::duration limit) {
  epoll_event events[64];
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(limit).count();
  const timespec timeout{static_cast<time_t>(ns / 1'000'000'000), ns % 1'000'000'000};
  int n = ::epoll_pwait2(epoll_.get(), events, 64, &timeout, nullptr);
  if (n < 0 && errno == ENOSYS) // a kernel before 5.11: milliseconds, rounded up
    n = ::epoll_wait(epoll_.get(), events, 64, static_cast<int>((ns + 999'999) / 1'000'000));
  for (int i = 0; i < n; ++i) {
    const int fd = static_cast<int>(events[i].data.u64 & 0xffffffffu);
    if (fd == wake_.get()) {
      std::uint64_t count = 0;
      [[maybe_unused]] const auto got = ::read(fd, &count, sizeof count);
      continue;
    }
    const auto it = watchers_.find(fd);
    if (it == watchers_.end() || it->second.generation != events[i].data.u64 >> 32)
      continue;                                // unwatched by an earlier event of this round
    const auto on_event = it->second.on_event; // it may unwatch itself
    if (on_event)
      on_event(events[i].events);
  }
}

void progress_thread::run() {
  id_ = std::this_thread::get_id();
  if (hooks_.begin)
    hooks_.begin();
  while (!finishing_) {
    bool worked = run_tasks();
    if (hooks_.poll)
      worked |= hooks_.poll();
    worked |= run_timers();
    if (finishing_)
      break;
    if (worked || hooks_.busy) {
      if (!hooks_.arm) // otherwise `poll` sees everything by itself
        wait({});
      continue;
    }
    {
      const std::lock_guard guard(mutex_);
      if (!tasks_.empty())
        continue;
      asleep_ = true;
    }
    const bool work_came = hooks_.arm && !hooks_.arm();
    wait(work_came ? clock::duration::zero() : sleep_time());
    const std::lock_guard guard(mutex_);
    asleep_ = false;
  }
  {
    const std::lock_guard guard(mutex_);
    open_ = false;
  }
  run_tasks(); // what was posted before the door closed
  if (hooks_.end)
    hooks_.end();
  watchers_.clear();
  timers_.clear();
}

} // namespace skippipe::transport
