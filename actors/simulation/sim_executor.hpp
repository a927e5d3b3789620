// Compute on the virtual clock.
#pragma once

#include "actors/executor.hpp"
#include "actors/simulation/world.hpp"

#include <deque>
#include <limits>
#include <memory>

namespace skippipe::actors::simulation {

/// Virtual nanoseconds per kind of work.
struct work_costs {
  std::int64_t forward = 10'000'000;
  std::int64_t loss = 2'500'000;
  std::int64_t backward = 15'000'000;
  std::int64_t reduce = 100'000;
  std::int64_t update = 3'000'000;
  std::int64_t other = 1'000'000;
};

/// One task at a time, in order; a task's work runs when its time is over. Durations vary by up to
/// `jitter` of themselves.
class sim_executor final : public executor, public std::enable_shared_from_this<sim_executor> {
public:
  sim_executor(std::shared_ptr<world> time, work_costs costs, double jitter, std::uint64_t seed)
      : time_(std::move(time)), costs_(costs), jitter_(jitter), random_(seed) {}

  void submit(work_kind kind, std::function<void()> work) override {
    tasks_.emplace_back(kind, std::move(work));
    if (!busy_)
      start();
  }

  std::int64_t began_ns(std::int64_t) const override { return began_ns_; }

  /// Tasks that start from now on take so many times as long.
  void slow_down(double factor) { slowness_ = factor; }

  /// Nothing runs before `until_ns`; never again by default. A machine that dies or freezes.
  void pause(std::int64_t until_ns = std::numeric_limits<std::int64_t>::max()) {
    paused_until_ = until_ns;
  }

private:
  /// Runs `then` when the machine is awake.
  void awake(std::function<void()> then) {
    if (paused_until_ == std::numeric_limits<std::int64_t>::max())
      return;
    if (const auto wait = paused_until_ - time_->now_ns(); wait > 0)
      return time_->after(wait, [self = shared_from_this(), then = std::move(then)]() mutable {
        self->awake(std::move(then));
      });
    then();
  }

  std::int64_t duration(work_kind kind) {
    std::int64_t base = costs_.other;
    switch (kind) {
      case work_kind::forward:
        base = costs_.forward;
        break;
      case work_kind::loss:
        base = costs_.loss;
        break;
      case work_kind::backward:
        base = costs_.backward;
        break;
      case work_kind::reduce:
        base = costs_.reduce;
        break;
      case work_kind::update:
        base = costs_.update;
        break;
      case work_kind::other:
        break;
    }
    base = static_cast<std::int64_t>(slowness_ * static_cast<double>(base));
    return base
           + static_cast<std::int64_t>(jitter_ * random_.uniform() * static_cast<double>(base));
  }

  void start() {
    busy_ = true;
    const auto began = time_->now_ns();
    auto [kind, work] = std::move(tasks_.front());
    tasks_.pop_front();
    time_->after(duration(kind), [self = shared_from_this(), began, work = std::move(work)] {
      self->awake([self, began, work] {
        self->began_ns_ = began;
        work();
        self->busy_ = false;
        if (!self->tasks_.empty())
          self->start();
      });
    });
  }

  std::shared_ptr<world> time_;
  work_costs costs_;
  double jitter_;
  random_source random_;
  std::int64_t paused_until_ = 0, began_ns_ = 0;
  double slowness_ = 1;
  bool busy_ = false;
  std::deque<std::pair<work_kind, std::function<void()>>> tasks_;
};

} // namespace skippipe::actors::simulation
