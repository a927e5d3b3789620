// Two connected processes of one backend, and how fast messages go from one to the other.
#pragma once

#include "transport/transport.hpp"

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace skippipe::bench {

using clock_type = std::chrono::steady_clock;
inline constexpr double mib = 1024.0 * 1024.0;

double seconds_since(clock_type::time_point start);
double median(std::vector<double> v);

struct backend {
  std::string name;
  std::function<std::unique_ptr<transport::endpoint>(transport::peer_id)> make;
};

/// Counts answers and transfers that are not completed.
struct source final : transport::handler {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t outstanding = 0, answers = 0;
  transport::buffer place(transport::peer_id, std::span<const std::byte>, std::size_t size,
                          const transport::buffer*) override;
  void on_message(transport::peer_id, std::span<const std::byte>, transport::buffer) override;
  void on_peer_lost(transport::peer_id, std::error_code) override {}
};

/// This process and a forked one. Aborts where anything fails: it is a benchmark.
class two_processes {
public:
  /// Forks: make all pairs before the first `connect`, which starts threads.
  explicit two_processes(backend b);
  ~two_processes();
  void connect();

  /// MiB/s of `count` payloads, at most `window` not completed.
  double bandwidth(std::size_t size, std::size_t count, std::size_t window);

  /// Microseconds one way, half of a round trip of a small message.
  double latency(std::size_t rounds);

  std::unique_ptr<transport::endpoint> self;
  bool from_caller = false; ///< Another thread sends, as actors do, not the completions.
  source events;
  double cpu_s_per_gib = 0; ///< Of the sending process in the last `bandwidth`.

private:
  void request(char kind);
  void send_all(const transport::buffer& payload, std::size_t count, std::size_t window);
  void send_next(const transport::buffer& payload);

  const backend backend_;
  std::size_t left_ = 0;
  pid_t child_ = 0;
  int to_child_ = -1, from_child_ = -1;
};

} // namespace skippipe::bench
