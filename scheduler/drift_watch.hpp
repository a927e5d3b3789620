// When a running plan is worth being replaced because costs have drifted.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/plan.hpp"

#include <cstdint>
#include <optional>

namespace skippipe::scheduler {

struct drift_options {
  double gain = 0.05;        ///< Share of an iteration that another plan must save,
  std::uint32_t confirm = 3; ///< in so many looks in a row.
  std::uint32_t pause = 20;  ///< Looks from one plan asked for to the next.
  /// Of a cost, relative: what it must have moved for a plan to be asked for. Twice as much after each plan
  /// that was not worth it, up to four times.
  double change = 0.1;
  double gain_after_haste = 0.01; ///< In place of `gain` where the running plan was made in haste.
};

/// Whether some cost that the running plan depends on differs by more than `change`, relative: the tasks of a
/// node at its stage, or a link as a share of what a microbatch takes at a node (a link that costs nothing
/// may vary as it likes).
bool costs_differ(const instance& a, const instance& b, const plan& running, double change);

/// Asks for a plan when costs have moved and come to rest, then watches whether that one would be better for a
/// while, by the newest costs each time. So planning is rare, noise changes nothing, and two plans that are
/// about as good never alternate. Pure; one look per iteration.
class drift_watch {
public:
  enum class advice : std::uint8_t {
    nothing,
    plan, ///< Make a plan for `now` in the background; offer() or withdraw() it.
    adopt ///< Run by the offered plan from the next iteration on; take() it.
  };

  explicit drift_watch(drift_options options = {}) : options_(options) {}

  advice look(const instance& now, const plan& running);
  void offer(plan candidate);
  void withdraw(); ///< There is none, or the running plan has changed for another reason.
  void restart();  ///< The running plan was made in haste: look for another one whatever costs did.
  plan take();     ///< After `adopt`.
  double gain() const { return gain_; } ///< Of the offered plan at the last look.

private:
  drift_options options_;
  std::optional<instance> reference_; ///< What the last plan was asked for with.
  std::optional<instance> last_;      ///< Of the last look.
  std::optional<plan> candidate_;
  bool asked_ = false; ///< A plan is being made.
  bool hasty_ = false; ///< The running plan was made in haste, and nothing was offered for it yet.
  std::uint32_t confirmed_ = 0, restless_ = 0;
  std::uint64_t looks_ = 0, asked_at_ = 0;
  double gain_ = 0;
  double reserve_ = 1; ///< Multiplies `change`.
};

} // namespace skippipe::scheduler
