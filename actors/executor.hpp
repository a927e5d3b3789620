// Where compute happens: never in a handler. Real: a worker thread per device; simulated: an event
// on the virtual clock (R11).
#pragma once

#include <cstdint>
#include <functional>

namespace skippipe::actors {

/// What a task is, for the simulated executor's durations.
enum class work_kind : std::uint8_t { forward, loss, backward, reduce, update, other };

/// Runs tasks one after another, in the order submitted, off the caller's thread.
class executor {
public:
  virtual ~executor() = default;
  /// Runs `work` once; it reports its result itself (a message to an actor). `work` must not throw.
  /// Thread-safe; returns at once.
  virtual void submit(work_kind kind, std::function<void()> work) = 0;
  /// Asked from within `work` as it begins: when its turn came. That is now, but on virtual time, where
  /// work runs when its time is over.
  virtual std::int64_t began_ns(std::int64_t now_ns) const { return now_ns; }
};

} // namespace skippipe::actors
