#include "runtime/security/revocations.hpp"

#include "runtime/security/pem.hpp"

#include <openssl/bn.h>
#include <openssl/x509.h>

namespace skippipe::runtime::security {

namespace {

using unique_revoked = std::unique_ptr<X509_REVOKED, freed_by<X509_REVOKED_free>>;

unique_integer parse_serial(const std::string& text) {
  BIGNUM* number = nullptr;
  const bool whole = BN_hex2bn(&number, text.c_str()) == static_cast<int>(text.size());
  const unique_bignum owner(number);
  require(whole && !text.empty(), "reading a serial number");
  unique_integer serial(BN_to_ASN1_INTEGER(number, nullptr));
  require(serial != nullptr, "a serial number");
  return serial;
}

void add_number(X509_CRL* list) {
  const auto now =
      std::chrono::duration_cast<std::chrono::milliseconds>(wall_clock::now().time_since_epoch());
  const unique_integer number(ASN1_INTEGER_new());
  require(number != nullptr && ASN1_INTEGER_set_uint64(number.get(), now.count()) == 1
              && X509_CRL_add1_ext_i2d(list, NID_crl_number, number.get(), 0, 0) == 1,
          "numbering a revocation list");
}

} // namespace

unique_crl make_revocation_list(const std::vector<revoked_serial>& serials, const X509* authority,
                                EVP_PKEY* authority_key) {
  unique_crl list(X509_CRL_new());
  require(
      list != nullptr && X509_CRL_set_version(list.get(), X509_CRL_VERSION_2) == 1
          && X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(authority)) == 1
          // As old as the authority: a node whose clock lags must not refuse everybody because of a
          // fresh list. The number tells lists apart.
          && X509_CRL_set1_lastUpdate(list.get(), X509_get0_notBefore(authority)) == 1,
      "a revocation list");
  for (const auto& [serial, since] : serials) {
    unique_revoked entry(X509_REVOKED_new());
    require(entry != nullptr
                && X509_REVOKED_set_serialNumber(entry.get(), parse_serial(serial).get()) == 1
                && X509_REVOKED_set_revocationDate(entry.get(), from_time(since).get()) == 1
                && X509_CRL_add0_revoked(list.get(), entry.get()) == 1,
            "revoking");
    static_cast<void>(entry.release()); // the list's now
  }
  add_number(list.get());
  require(X509_CRL_sort(list.get()) == 1
              && X509_CRL_sign(list.get(), authority_key, EVP_sha256()) > 0,
          "signing");
  return list;
}

std::uint64_t number_of(const X509_CRL* list) {
  const unique_integer number(
      static_cast<ASN1_INTEGER*>(X509_CRL_get_ext_d2i(list, NID_crl_number, nullptr, nullptr)));
  std::uint64_t value = 0;
  if (number == nullptr || ASN1_INTEGER_get_uint64(&value, number.get()) != 1) {
    openssl_problem();
    return 0;
  }
  return value;
}

bool install_revocations(const std::string& pem, const std::filesystem::path& ca,
                         const std::filesystem::path& file) {
  const auto list = parse_crl(pem, "a peer's revocation list");
  const auto authority = read_certificate(ca);
  if (X509_CRL_verify(list.get(), X509_get0_pubkey(authority.get())) != 1) {
    openssl_problem();
    throw key_error("a peer's revocation list: " + ca.string() + " did not sign it");
  }
  std::error_code absent;
  if (std::filesystem::exists(file, absent)
      && number_of(read_crl(file).get()) >= number_of(list.get()))
    return false;
  write_file(file, to_pem(list.get()), access::everyone);
  return true;
}

} // namespace skippipe::runtime::security
