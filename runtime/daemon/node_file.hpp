// A node's configuration as a TOML file, for the daemons that `up` starts.
#pragma once

#include "runtime/config/node_config.hpp"

#include <string>

namespace skippipe::runtime::daemon {

std::string node_file_text(const node_config& node);

} // namespace skippipe::runtime::daemon
