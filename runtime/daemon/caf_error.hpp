// CAF's errors in words for people.
#pragma once

#include <caf/all.hpp>

#include <string>

namespace skippipe::runtime::daemon {

/// Why a request or a connection failed, without CAF's names: "nobody listens there", "no answer in
/// time" and so on.
std::string plain_text(const caf::error& why);

} // namespace skippipe::runtime::daemon
