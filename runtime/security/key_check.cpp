#include "runtime/security/key_check.hpp"

#include "runtime/security/expiry.hpp"
#include "runtime/security/pem.hpp"

namespace skippipe::runtime::security {

namespace {

using unique_store = std::unique_ptr<X509_STORE, freed_by<X509_STORE_free>>;
using unique_store_context = std::unique_ptr<X509_STORE_CTX, freed_by<X509_STORE_CTX_free>>;

/// Reads one file; its absence is a finding.
template <class Read>
auto read(const char* key, const std::filesystem::path& file, key_report& report, Read how)
    -> decltype(how(file)) {
  try {
    return how(file);
  } catch (const key_error& error) {
    report.problems.push_back({key, error.what()});
    return {};
  }
}

/// What OpenSSL finds wrong with a certificate at `now`; X509_V_OK for nothing.
int verify(X509* ca, X509* certificate, X509_CRL* revoked, wall_clock::time_point now) {
  const unique_store store(X509_STORE_new());
  const unique_store_context context(X509_STORE_CTX_new());
  require(store != nullptr && context != nullptr && X509_STORE_add_cert(store.get(), ca) == 1,
          "checking a certificate");
  if (revoked != nullptr) {
    require(X509_STORE_add_crl(store.get(), revoked) == 1, "checking a certificate");
    X509_STORE_set_flags(store.get(), X509_V_FLAG_CRL_CHECK);
  }
  require(X509_STORE_CTX_init(context.get(), store.get(), certificate, nullptr) == 1,
          "checking a certificate");
  X509_STORE_CTX_set_time(context.get(), 0, wall_clock::to_time_t(now));
  X509_verify_cert(context.get());
  openssl_problem();
  return X509_STORE_CTX_get_error(context.get());
}

std::string verdict_text(int verdict, const key_paths& files, const X509* certificate,
                         wall_clock::time_point now) {
  const auto file = files.certificate.string();
  switch (verdict) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      // The authority's own end is reported with the same code.
      return not_after(certificate) <= now ? expiry_warning(certificate, files.certificate, now)
                                           : files.ca.string() + ": has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
    case X509_V_ERR_CRL_NOT_YET_VALID: // looked at first, and as old as the authority
      return file + ": is valid from " + text_of(not_before(certificate)) + ", and it is "
             + text_of(now) + " here; set the clock";
    case X509_V_ERR_CERT_REVOKED:
      return file + ": was revoked; `skippipe certs renew " + name_of(certificate)
             + " --new-key` makes another";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return file + ": expected a certificate that " + files.ca.string()
             + " has signed, got another authority's";
    default:
      return file + ": " + X509_verify_cert_error_string(verdict);
  }
}

} // namespace

key_report check_keys(const key_paths& files, const std::string& node_name,
                      wall_clock::time_point now) {
  key_report report;
  const auto ca = read("ca", files.ca, report, read_certificate);
  const auto certificate = read("certificate", files.certificate, report, read_certificate);
  const auto key = read("key", files.key, report, read_key);
  unique_crl revoked;
  if (!files.revoked.empty())
    revoked = read("revoked", files.revoked, report, read_crl);

  if (key != nullptr && is_exposed(files.key))
    report.problems.push_back(
        {"key", files.key.string() + ": others can read it; run `chmod 600` on it"});
  if (ca != nullptr && X509_check_ca(ca.get()) == 0)
    report.problems.push_back({"ca", files.ca.string()
                                         + ": expected an authority's certificate, got that of '"
                                         + name_of(ca.get()) + "'"});
  else if (ca != nullptr && revoked != nullptr
           && X509_CRL_verify(revoked.get(), X509_get0_pubkey(ca.get())) != 1) {
    openssl_problem();
    report.problems.push_back({"revoked", files.revoked.string() + ": expected a list that "
                                              + files.ca.string() + " has signed"});
    revoked = nullptr;
  }
  if (certificate == nullptr)
    return report;
  if (key != nullptr && X509_check_private_key(certificate.get(), key.get()) != 1) {
    openssl_problem();
    report.problems.push_back({"key", files.key.string() + ": expected the key of "
                                          + files.certificate.string() + ", got another"});
  }
  if (name_of(certificate.get()) != node_name)
    report.problems.push_back(
        {"certificate", files.certificate.string() + ": expected the certificate of '" + node_name
                            + "' (node.name), got that of '" + name_of(certificate.get()) + "'"});
  if (ca == nullptr || X509_check_ca(ca.get()) == 0)
    return report;
  const int verdict = verify(ca.get(), certificate.get(), revoked.get(), now);
  if (verdict != X509_V_OK)
    report.problems.push_back(
        {"certificate", verdict_text(verdict, files, certificate.get(), now)});
  else
    for (const auto& warning : {expiry_warning(certificate.get(), files.certificate, now),
                                expiry_warning(ca.get(), files.ca, now)})
      if (!warning.empty())
        report.warnings.push_back(warning);
  return report;
}

std::filesystem::path revoked_beside(const std::filesystem::path& ca) {
  auto file = ca.parent_path() / "revoked.pem";
  std::error_code absent;
  return std::filesystem::exists(file, absent) ? file : std::filesystem::path{};
}

} // namespace skippipe::runtime::security
