// What the scheduler's daemon reads of a run folder for those who ask for its trace.
#pragma once

#include "runtime/daemon/messages.hpp"

#include <filesystem>
#include <vector>

namespace skippipe::runtime::daemon {

/// Traces and plans, by name, with the sizes that they have now.
std::vector<trace_file> list_trace_files(const std::filesystem::path& run_dir);

/// At most some MiB from the offset on. Names come from other machines: only what
/// `list_trace_files` may list is read. A trace that has been set aside meanwhile is still found.
trace_part read_trace_part(const std::filesystem::path& run_dir, const trace_part_request& wanted);

} // namespace skippipe::runtime::daemon
