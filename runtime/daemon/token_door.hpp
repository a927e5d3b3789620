// The scheduler's join tokens, as its coordinator uses them.
#pragma once

#include "runtime/daemon/coordinator.hpp"

#include <filesystem>

namespace skippipe::runtime::daemon {

/// Sets `admit`, `forget` and `make_token` of `options`; the tokens are kept in `folder`.
void use_tokens(coordinator_options& options, const std::filesystem::path& folder);

} // namespace skippipe::runtime::daemon
