// Owners of OpenSSL's objects, and what its error queue says.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <memory>
#include <stdexcept>
#include <string>

namespace skippipe::runtime::security {

template <auto Free>
struct freed_by {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};
using unique_key = std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>>;
using unique_certificate = std::unique_ptr<X509, freed_by<X509_free>>;
using unique_crl = std::unique_ptr<X509_CRL, freed_by<X509_CRL_free>>;
using unique_extension = std::unique_ptr<X509_EXTENSION, freed_by<X509_EXTENSION_free>>;
using unique_integer = std::unique_ptr<ASN1_INTEGER, freed_by<ASN1_INTEGER_free>>;
using unique_bignum = std::unique_ptr<BIGNUM, freed_by<BN_free>>;
using unique_time = std::unique_ptr<ASN1_TIME, freed_by<ASN1_TIME_free>>;
using unique_bio = std::unique_ptr<BIO, freed_by<BIO_free_all>>;

/// A user's error about keys: one line that says what, where and what to do.
class key_error : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// Empties OpenSSL's error queue of this thread; its first entry, or "" when there is none.
std::string openssl_problem();

/// Throws when `sound` is false: OpenSSL failed at `what`, which is nothing a user can mend.
void require(bool sound, const char* what);

} // namespace skippipe::runtime::security
