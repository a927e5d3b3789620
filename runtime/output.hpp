// Whether standard output still takes what is written to it.
#pragma once

#include <string>

namespace skippipe::runtime {

/// Flushes stdout. Returns one line where something that was written did not get out, else nothing. One
/// thread at a time, and none that writes meanwhile.
std::string output_problem();

} // namespace skippipe::runtime
