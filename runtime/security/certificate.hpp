// What certificates say, and how the cluster's own are made.
#pragma once

#include "runtime/security/handles.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace skippipe::runtime::security {

using wall_clock = std::chrono::system_clock;

/// The common name of the subject; "" when there is none.
std::string name_of(const X509* certificate);
/// In hexadecimal, without leading zeros.
std::string serial_of(const X509* certificate);
wall_clock::time_point not_before(const X509* certificate);
wall_clock::time_point not_after(const X509* certificate);
/// The DNS names and addresses it is for.
std::vector<std::string> alternative_names(const X509* certificate);

wall_clock::time_point to_time(const ASN1_TIME* time);
unique_time from_time(wall_clock::time_point time);
/// "2027-01-31T12:00:00Z".
std::string text_of(wall_clock::time_point time);
std::string text_of(const ASN1_INTEGER* serial);

/// A fresh P-256 key.
unique_key make_key();

/// Signed by itself; may sign certificates and revocation lists, but no other authorities.
unique_certificate make_authority_certificate(EVP_PKEY* key, const std::string& name,
                                              wall_clock::time_point now, std::chrono::days life);

/// For a node: a server and a client of TLS. `names` are DNS names or addresses besides `name`. It
/// never outlives the authority's.
unique_certificate make_node_certificate(EVP_PKEY* subject_key, const std::string& name,
                                         const std::vector<std::string>& names,
                                         const X509* authority, EVP_PKEY* authority_key,
                                         wall_clock::time_point now, std::chrono::days life);

} // namespace skippipe::runtime::security
