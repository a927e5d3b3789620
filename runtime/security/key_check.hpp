// Whether the TLS files of a node are what it needs, found out before anything starts.
#pragma once

#include "runtime/security/certificate.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace skippipe::runtime::security {

struct key_paths {
  std::filesystem::path ca, certificate, key;
  std::filesystem::path revoked; ///< Empty: no list.
};

/// A finding about one of the files; `key` is its name in the configuration.
struct key_finding {
  std::string key, text;
};

struct key_report {
  std::vector<key_finding> problems; ///< Any of them keeps the node from working.
  std::vector<std::string> warnings; ///< Of certificates that end soon.
};

/// All that is wrong in one go: files absent or of another kind, a key that others can read or that
/// belongs to another certificate, a certificate of another authority or node, expired, not valid yet or
/// revoked.
key_report check_keys(const key_paths& files, const std::string& node_name,
                      wall_clock::time_point now);

/// The revocation list that the layout of `skippipe certs` puts beside `ca`; empty when none is there.
std::filesystem::path revoked_beside(const std::filesystem::path& ca);

} // namespace skippipe::runtime::security
