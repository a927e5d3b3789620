// What the planning commands share.
#pragma once

#include "scheduler/instance.hpp"
#include "scheduler/json_reader.hpp"
#include "scheduler/plan.hpp"

#include <string>
#include <vector>

namespace skippipe::runtime {

std::string joined(const std::vector<std::string>& lines);

/// Writes a file whole; a command_error when that fails.
void write_text(const std::string& file, const std::string& text);

} // namespace skippipe::runtime
