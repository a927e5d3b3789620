// The ring buffer between a node's threads and its trace file.
#pragma once

#include "actors/trace/event.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

namespace skippipe::trace {

/// Bounded buffer of events: any thread may record, one thread at a time may drain.
/// A full ring overwrites its oldest events; they are counted, so that a trace can say what it
/// lacks. Recording is wait-free (one fetch_add, one compare-exchange, no allocation).
class trace_ring {
public:
  static constexpr std::size_t default_capacity = std::size_t{1} << 14;

  /// `capacity` is rounded up to a power of two, at least 2.
  explicit trace_ring(std::size_t capacity = default_capacity);
  trace_ring(const trace_ring&) = delete;
  trace_ring& operator=(const trace_ring&) = delete;

  /// Any thread; never blocks.
  void record(const event& e) noexcept;

  /// Appends what was recorded since the last call, in the order of recording; one thread at a
  /// time. An event that a producer is still writing, and all after it, wait for the next call.
  void drain(std::vector<event>& out);

  /// Events that drain() found overwritten so far; same thread as drain().
  std::uint64_t overwritten() const noexcept { return overwritten_; }
  std::size_t capacity() const noexcept { return mask_ + 1; }

private:
  // An event as words, because a reader may look at a slot while it is overwritten; what it then
  // read is thrown away, but the reads themselves must not be a data race.
  static constexpr std::size_t words = sizeof(event) / sizeof(std::uint64_t);
  struct slot {
    // 2 * ticket + 1 while that ticket's event is being written, 2 * ticket + 2 once it is there.
    std::atomic<std::uint64_t> sequence{0};
    std::array<std::atomic<std::uint64_t>, words> data{};
  };
  enum class outcome { taken, gone, pending };

  outcome take(std::uint64_t ticket, event& out);

  std::size_t mask_;
  std::unique_ptr<slot[]> slots_;
  alignas(64) std::atomic<std::uint64_t> head_{0}; // the next ticket
  std::atomic<std::uint64_t> given_up_{0};         // tickets that nobody will fill
  alignas(64) std::uint64_t tail_ = 0;             // the next ticket to drain
  std::uint64_t stalled_at_ = ~std::uint64_t{0};   // where the last drain had to stop
  std::uint64_t closed_ = 0;                       // of those, passed by drain()
  std::uint64_t overwritten_ = 0;
};

} // namespace skippipe::trace
