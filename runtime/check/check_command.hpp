// What `skippipe node --config FILE --check [--connect]` prints.
#pragma once

#include <string>
#include <vector>

namespace skippipe::runtime {

/// Reads and checks a node's file; with `connect` its ports and seeds are tried too. Prints findings to
/// stdout (as JSON, one object per line, when `json`), warnings to stderr. Returns 0 when all is
/// well; throws command_error with every problem of the file and its keys, or when a connection fails.
int check_node_file(const std::string& file, const std::vector<std::string>& overrides,
                    bool connect, bool json);

} // namespace skippipe::runtime
