// Virtual time: a queue of events, run one by one on one thread (R11).
#pragma once

#include "actors/clock.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

namespace skippipe::actors::simulation {

/// splitmix64: small, seedable and the same everywhere.
class random_source {
public:
  explicit random_source(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  bool chance(double probability) { return uniform() < probability; }

private:
  std::uint64_t state_;
};

/// Events fire in order of time, those of one time in order of scheduling.
class world final : public clock {
public:
  std::int64_t now_ns() const override { return now_; }
  void after(std::int64_t delay_ns, std::function<void()> event) {
    events_.emplace(std::make_pair(now_ + delay_ns, sequence_++), std::move(event));
  }
  /// Runs the next event; false where there is none.
  bool step() {
    if (events_.empty())
      return false;
    auto node = events_.extract(events_.begin());
    now_ = node.key().first;
    node.mapped()();
    return true;
  }

private:
  std::int64_t now_ = 0;
  std::uint64_t sequence_ = 0;
  std::map<std::pair<std::int64_t, std::uint64_t>, std::function<void()>> events_;
};

} // namespace skippipe::actors::simulation
