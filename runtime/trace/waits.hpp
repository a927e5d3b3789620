// What a microbatch waited for, piece by piece.
#pragma once

#include "runtime/trace/iteration_view.hpp"

namespace skippipe::runtime {

/// Fills the `spans` of every microbatch of the view from its tasks: from the start of its attempt
/// to the end of its last task (or of the view, where it got stuck), without gaps.
void find_waits(iteration_view& view);

} // namespace skippipe::runtime
