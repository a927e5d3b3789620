// What recording a trace event costs, beside a vector behind a mutex. Interleaved rounds, medians.
#include "actors/trace/ring.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

using namespace skippipe;

namespace {

using clock_type = std::chrono::steady_clock;

double seconds_since(clock_type::time_point begin) {
  return std::chrono::duration<double>(clock_type::now() - begin).count();
}

// CPU-bound wall time per event and thread: `threads` may exceed the cores.
double run(unsigned threads, int events, const std::function<void(const trace::event&)>& record) {
  const auto begin = clock_type::now();
  std::vector<std::thread> pool;
  for (unsigned t = 0; t < threads; ++t)
    pool.emplace_back([&, t] {
      trace::event e;
      e.node = t;
      for (int i = 0; i < events; ++i) {
        e.time_ns = i;
        record(e);
      }
    });
  for (auto& thread : pool)
    thread.join();
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  return 1e9 * seconds_since(begin) * std::min(threads, cores)
         / (static_cast<double>(events) * threads);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

} // namespace

int main() {
  constexpr int rounds = 9;
  trace::trace_ring ring;
  std::mutex mutex;
  std::vector<trace::event> log;
  const auto to_ring = [&](const trace::event& e) { ring.record(e); };
  const auto to_log = [&](const trace::event& e) {
    const std::lock_guard lock(mutex);
    if (log.size() == ring.capacity())
      log.clear();
    log.push_back(e);
  };
  std::printf("ns per event and thread, medians of %d:\n", rounds);
  for (const unsigned threads : {1u, 2u, 3u}) {
    std::vector<double> ring_ns, log_ns;
    for (int i = 0; i < rounds; ++i) {
      ring_ns.push_back(run(threads, 500'000, to_ring));
      log_ns.push_back(run(threads, 500'000, to_log));
    }
    std::printf("%u threads recording all the time: ring %.1f, mutex %.1f\n", threads,
                median(ring_ns), median(log_ns));
  }
}
