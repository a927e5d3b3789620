// What `skippipe node --config FILE --check [--connect]` prints.
#pragma once

#include "runtime/check/node_check.hpp"

#include <functional>
#include <string>
#include <vector>

namespace skippipe::runtime {

/// What only the engine can find out.
struct engine_checks {
  std::function<void(const node_config&)> device; ///< Throws command_error where it is not here.
  admission_question admission;                   ///< With `connect`.
};

/// Reads and checks a node's file; with `connect` its ports and seeds are tried too, and its cluster is asked. Prints
/// findings to stdout (as JSON, one object per line, when `json`), warnings to stderr. Returns 0 when all is
/// well; throws command_error with every problem of the file and its keys, or when a connection fails.
int check_node_file(const std::string& file, const std::vector<std::string>& overrides,
                    bool connect, bool json, const engine_checks& engine = {});

} // namespace skippipe::runtime
