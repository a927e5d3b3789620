#include "scheduler/drift_watch.hpp"

#include "scheduler/figures.hpp"
#include "scheduler/simulator.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace skippipe::scheduler {

bool costs_differ(const instance& a, const instance& b, const plan& running, double change) {
  if (a.nodes.size() != b.nodes.size() || a.stages != b.stages)
    return true;
  const auto differ = [&](double x, double y, double whole) {
    return std::fabs(x - y) > change * whole;
  };
  double work = 0; // Of a microbatch at one node, on average.
  std::size_t count = 0;
  for (stage_id stage = 0; stage < running.arrangement.size(); ++stage)
    for (const node_id node : running.arrangement[stage]) {
      const auto x = a.costs(node, stage), y = b.costs(node, stage);
      const double before = x.forward_s + x.backward_s + (stage == 0 ? x.loss_s : 0);
      const double after = y.forward_s + y.backward_s + (stage == 0 ? y.loss_s : 0);
      if (differ(before, after, std::min(before, after)))
        return true;
      work += before;
      ++count;
    }
  work /= static_cast<double>(std::max<std::size_t>(count, 1));
  for (const auto& from : running.arrangement)
    for (const node_id x : from)
      for (const auto& to : running.arrangement)
        for (const node_id y : to)
          if (differ(a.link(x, y), b.link(x, y), work))
            return true;
  return false;
}

drift_watch::advice drift_watch::look(const instance& now, const plan& running) {
  ++looks_;
  const auto last = std::exchange(last_, now);
  if (candidate_) {
    const double before = predicted_seconds(now, running);
    gain_ = before > 0 ? 1 - predicted_seconds(now, *candidate_) / before : 0;
    const double wanted =
        hasty_ ? std::min(options_.gain, options_.gain_after_haste) : options_.gain;
    if (!(gain_ >= wanted)) {
      withdraw();
      hasty_ = false;
      reserve_ = std::min(2 * reserve_, 4.0);
      return advice::nothing;
    }
    return ++confirmed_ >= options_.confirm ? advice::adopt : advice::nothing;
  }
  if (asked_ || (reference_ && looks_ - asked_at_ < options_.pause))
    return advice::nothing;
  if (reference_ && !costs_differ(*reference_, now, running, reserve_ * options_.change))
    return advice::nothing;
  // In the middle of a change a plan would be made for what is over when it is ready.
  const bool moving = reference_ && last && costs_differ(*last, now, running, options_.change);
  if (moving && ++restless_ < options_.pause)
    return advice::nothing;
  restless_ = 0;
  reference_ = now;
  asked_at_ = looks_;
  asked_ = true;
  return advice::plan;
}

void drift_watch::offer(plan candidate) {
  asked_ = false;
  confirmed_ = 0;
  candidate_ = std::move(candidate);
}

void drift_watch::withdraw() {
  asked_ = false;
  confirmed_ = 0;
  candidate_.reset();
}

void drift_watch::restart() {
  withdraw();
  reference_.reset();
  hasty_ = true;
}

plan drift_watch::take() {
  auto taken = std::move(*candidate_);
  withdraw();
  hasty_ = false;
  reserve_ = 1;
  return taken;
}

} // namespace skippipe::scheduler
