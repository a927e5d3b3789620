// A node's configuration as a TOML file, with every key that counts.
#pragma once

#include "runtime/config/node_config.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace skippipe::runtime {

/// For the daemons that `up` starts.
std::string node_file_text(const node_config& node);

/// node.cluster of such a file; empty where it says none or cannot be read.
std::string cluster_of_node_file(const std::filesystem::path& file);

/// The keys in which the two differ, "node.threads", in the order of their names.
std::vector<std::string> changed_keys(const node_config& before, const node_config& after);

} // namespace skippipe::runtime
