// Preloaded, it makes the steady clock of each thread run by the CPU time that the thread gets, so that a busy
// machine measures planners as if every thread had a core of its own. For programs whose main thread starts
// the others, all of which compute. Usage: LD_PRELOAD=build/bench/libbench_cpu_clock.so build/bench_scheduler_replan ...
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace {

clockid_t main_clock = CLOCK_MONOTONIC; // The CPU time of the main thread once that is known.

long nanoseconds(clockid_t clock) {
  timespec t{};
  syscall(SYS_clock_gettime, clock, &t);
  return t.tv_sec * 1000000000L + t.tv_nsec;
}

[[gnu::constructor]] void find_main_clock() { pthread_getcpuclockid(pthread_self(), &main_clock); }

} // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* t) noexcept {
  if (clock != CLOCK_MONOTONIC || main_clock == CLOCK_MONOTONIC)
    return static_cast<int>(syscall(SYS_clock_gettime, clock, t));
  const long own = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
  // A new thread begins where the main thread is.
  thread_local const long begin = getpid() == gettid() ? 0 : nanoseconds(main_clock) - own;
  const long now = begin + own + 1000000000L;
  t->tv_sec = now / 1000000000L;
  t->tv_nsec = now % 1000000000L;
  return 0;
}
