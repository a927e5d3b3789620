// What a plan amounts to, in figures and in words.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/plan.hpp"

#include <optional>
#include <string>

namespace skippipe::scheduler {

struct plan_figures {
  double makespan_s = 0;
  double utilisation = 0; ///< Busy time of all nodes over makespan times nodes; the rest is bubble.
  double relay_share = 0; ///< Share of the work that nodes of stages 1.. do.
  double origin_utilisation = 0, relay_utilisation = 0;
};

plan_figures figures_of(const instance& problem, const plan& p);

/// Seconds of a whole iteration: every stage reduces its gradients among its nodes right after its last
/// backward, then the commit. Nothing where the instance gives neither.
std::optional<double> iteration_seconds(const instance& problem, const plan& p);

/// What planners make short: `iteration_seconds`, else the makespan. Infinite where `p` cannot run.
double predicted_seconds(const instance& problem, const plan& p);

/// One sentence when stage 0 (embedding, first layers, head) holds everything else up; else empty.
std::string origin_advice(const instance& problem, const plan& p);

} // namespace skippipe::scheduler
