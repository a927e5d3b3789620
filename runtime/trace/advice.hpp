// What an explained iteration suggests to change.
#pragma once

#include "runtime/trace/explain.hpp"

namespace skippipe::runtime {

/// One sentence per finding that costs a tenth of the iteration or more, with its numbers.
std::vector<std::string> give_advice(const run_trace& run, const iteration_view& view,
                                     const explanation& x);

} // namespace skippipe::runtime
