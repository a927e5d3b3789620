// Which keys open which cluster on this machine, so that commands need no more than HOST:PORT.
#pragma once

#include <filesystem>
#include <string>

namespace skippipe::runtime::daemon {

/// Notes, for this user, that the cluster at `control` (HOST:PORT) takes the certificate in `keys`
/// (ca.pem, certificate.pem, key.pem). Best effort.
void remember_cluster(const std::string& control, const std::filesystem::path& keys);
void forget_cluster(const std::string& control);
/// By name or by any address that the host's name stands for. Empty: not known.
std::filesystem::path keys_of_cluster(const std::string& control);

} // namespace skippipe::runtime::daemon
