// Configuration files to start from, with every key and its default.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace skippipe::runtime {

/// "job", "node" or "cluster"; empty for another kind.
std::string default_file(std::string_view kind);
const std::vector<std::string>& default_file_kinds();

} // namespace skippipe::runtime
