// Keys, certificates and revocation lists in PEM files.
#pragma once

#include "runtime/security/handles.hpp"

#include <filesystem>
#include <string>

namespace skippipe::runtime::security {

// Each throws key_error naming the file when it cannot be read or holds something else.
unique_certificate read_certificate(const std::filesystem::path& file);
unique_key read_key(const std::filesystem::path& file);
unique_crl read_crl(const std::filesystem::path& file);
unique_crl parse_crl(const std::string& pem, const std::string& source);

std::string to_pem(X509* certificate);
std::string to_pem(X509_CRL* list);
/// Unencrypted PKCS#8.
std::string to_pem(EVP_PKEY* key);

enum class access { everyone, owner }; ///< Mode 0644 or 0600.

/// Complete or absent: written aside with its final mode, synced, renamed. Throws key_error.
void write_file(const std::filesystem::path& file, const std::string& text, access who);

/// Makes a folder of mode 0700 and its parents; one that is there stays as it is.
void make_private_folder(const std::filesystem::path& folder);

/// Whether others than the owner may read or write `file`.
bool is_exposed(const std::filesystem::path& file);

} // namespace skippipe::runtime::security
