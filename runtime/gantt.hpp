// A plan as a picture: nodes as rows, tasks as bars, the critical path marked.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/plan.hpp"

#include <string>

namespace skippipe::runtime {

/// A self-contained SVG; hovering (in a browser) highlights a microbatch with its path.
std::string gantt_svg(const scheduler::instance& problem, const scheduler::plan& p);

/// The same within a self-contained page with legend and figures.
std::string gantt_page(const scheduler::instance& problem, const scheduler::plan& p, double bound);

} // namespace skippipe::runtime
