// Certificates that no longer hold although they have not expired.
#pragma once

#include "runtime/security/certificate.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace skippipe::runtime::security {

struct revoked_serial {
  std::string serial; ///< Hexadecimal.
  wall_clock::time_point since;
};

/// A list signed by the authority. It has no end: an authority that is offline for long must not
/// stop the cluster. Its number is the time in milliseconds: newer lists have higher ones.
unique_crl make_revocation_list(const std::vector<revoked_serial>& serials, const X509* authority,
                                EVP_PKEY* authority_key);

/// The list's number; 0 when it has none.
std::uint64_t number_of(const X509_CRL* list);

/// Takes over a list that came over the network: checks that the authority of `ca` signed it and
/// replaces `file` when it is newer. True when it was replaced; throws key_error for a bad one.
bool install_revocations(const std::string& pem, const std::filesystem::path& ca,
                         const std::filesystem::path& file);

} // namespace skippipe::runtime::security
