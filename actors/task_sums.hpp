// What tasks took, by kind.
#pragma once

#include "actors/protocol/messages.hpp"
#include "scheduler/plan.hpp"

#include <array>
#include <cstdint>

namespace skippipe::actors {

/// Sums for the means that a node reports.
class task_sums {
public:
  void add(scheduler::task_kind kind, std::int64_t ns) {
    auto& sum = sums_.at(static_cast<std::size_t>(kind));
    sum.seconds += 1e-9 * static_cast<double>(ns);
    ++sum.count;
  }
  task_seconds means() const {
    using scheduler::task_kind;
    return {mean(task_kind::forward), mean(task_kind::loss), mean(task_kind::backward)};
  }

private:
  struct sum {
    double seconds = 0;
    std::uint64_t count = 0;
  };
  double mean(scheduler::task_kind kind) const {
    const auto& one = sums_.at(static_cast<std::size_t>(kind));
    return one.count == 0 ? 0 : one.seconds / static_cast<double>(one.count);
  }
  std::array<sum, 3> sums_;
};

} // namespace skippipe::actors
