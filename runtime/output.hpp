// Standard output: JSON lines, and whether it still takes what is written to it.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace skippipe::runtime {

/// One JSON object per line on stdout, flushed.
void print_json(const nlohmann::json& object);

/// Flushes stdout. Returns one line where something that was written did not get out, else nothing. One
/// thread at a time, and none that writes meanwhile.
std::string output_problem();

} // namespace skippipe::runtime
