// Events on their way to those who follow a running job: a bounded queue for each, emptied by asking.
#pragma once

#include "actors/trace/event.hpp"
#include "runtime/daemon/messages.hpp"

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace skippipe::runtime::daemon {

/// Any thread.
class trace_feed {
public:
  using follower_no = std::uint64_t;
  using node_names = std::shared_ptr<const std::vector<std::string>>; ///< By node number.

  /// Events that wait for one follower, and that one answer carries.
  static constexpr std::size_t most_waiting = std::size_t{1} << 16;
  static constexpr std::size_t most_at_once = 4096;

  /// `on_news`: a follower that had nothing to take now has something.
  explicit trace_feed(std::function<void()> on_news) : on_news_(std::move(on_news)) {}

  /// What is published from now on and fits the request waits for the new follower of `job`.
  follower_no open(const std::string& job, const trace_pull& wanted);
  void close(follower_no follower);
  void publish(const std::string& job, const node_names& names,
               std::span<const trace::event> events);
  /// The oldest that wait, of one session; what was lost so far. Nobody's: nothing.
  trace_events take(follower_no follower);

private:
  struct block {
    node_names names;
    std::vector<trace::event> events;
  };
  struct follower {
    std::string job;
    trace_pull wanted;
    std::deque<block> blocks;
    std::size_t waiting = 0;
    std::uint64_t lost = 0;
  };
  static bool wants(const follower& who, const node_names& names, const trace::event& e);
  static void add(follower& who, block more);

  const std::function<void()> on_news_;
  std::atomic<bool> followed_{false}; ///< Publishing for nobody costs nothing.
  std::mutex mutex_;
  std::map<follower_no, follower> followers_;
  follower_no last_ = 0;
};

/// The name of the node with that number; of the job's scheduler "scheduler".
std::string name_of(const std::vector<std::string>& names, node_id node);

} // namespace skippipe::runtime::daemon
