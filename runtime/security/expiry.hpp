// Certificates end; whoever uses one is told in time.
#pragma once

#include "runtime/security/certificate.hpp"

#include <filesystem>
#include <string>

namespace skippipe::runtime::security {

/// Warned of from so long before the end.
inline constexpr std::chrono::days expiry_notice{30};

/// One line when `certificate` ends within `expiry_notice` of `now` (or has ended), else "".
std::string expiry_warning(const X509* certificate, const std::filesystem::path& file,
                           wall_clock::time_point now);

} // namespace skippipe::runtime::security
