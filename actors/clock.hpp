// Time as actors see it; virtual in simulation (R11).
#pragma once

#include <chrono>
#include <cstdint>

namespace skippipe::actors {

class clock {
public:
  virtual ~clock() = default;
  virtual std::int64_t now_ns() const = 0; ///< Nanoseconds since the Unix epoch (virtual: since 0).
};

/// Steady within a process, anchored once to the Unix epoch. Thread-safe.
class real_clock final : public clock {
public:
  std::int64_t now_ns() const override {
    return anchor_ + std::chrono::steady_clock::now().time_since_epoch().count();
  }

private:
  std::int64_t anchor_ = std::chrono::duration_cast<std::chrono::nanoseconds>(
                             std::chrono::system_clock::now().time_since_epoch())
                             .count()
                         - std::chrono::steady_clock::now().time_since_epoch().count();
};

} // namespace skippipe::actors
