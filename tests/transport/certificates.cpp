#include "certificates.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace skippipe::transport::testing {
namespace {

X509* make_certificate(EVP_PKEY* subject_key, const std::string& name, X509* issuer,
                       EVP_PKEY* issuer_key) {
  static long serial = 1;
  X509* x = X509_new();
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
  X509_gmtime_adj(X509_getm_notBefore(x), -60);
  X509_gmtime_adj(X509_getm_notAfter(x), 24 * 3600);
  X509_set_pubkey(x, subject_key);
  X509_NAME* subject = X509_get_subject_name(x);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(x, issuer != nullptr ? X509_get_subject_name(issuer) : subject);
  if (issuer == nullptr) {
    X509_EXTENSION* ca =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:TRUE");
    X509_add_ext(x, ca, -1);
    X509_EXTENSION_free(ca);
  }
  if (X509_sign(x, issuer_key, EVP_sha256()) == 0)
    throw std::runtime_error("cannot sign");
  return x;
}

template <class Write>
std::string write_pem(const std::filesystem::path& path, Write write) {
  FILE* f = std::fopen(path.c_str(), "w");
  if (f == nullptr)
    throw std::runtime_error("cannot write " + path.string());
  write(f);
  std::fclose(f);
  return path.string();
}

} // namespace

test_ca::test_ca() {
  std::string name = (std::filesystem::temp_directory_path() / "skippipe-ca-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    throw std::runtime_error("cannot make a folder");
  folder_ = name;
  EVP_PKEY* key = EVP_EC_gen("P-256");
  key_ = key;
  certificate_ = make_certificate(key, "test CA", nullptr, key);
}

test_ca::~test_ca() {
  X509_free(static_cast<X509*>(certificate_));
  EVP_PKEY_free(static_cast<EVP_PKEY*>(key_));
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

key_files test_ca::issue(const std::string& name) const {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* x =
      make_certificate(key, name, static_cast<X509*>(certificate_), static_cast<EVP_PKEY*>(key_));
  key_files files;
  files.ca = write_pem(folder_ / "ca.pem",
                       [&](FILE* f) { PEM_write_X509(f, static_cast<X509*>(certificate_)); });
  files.certificate = write_pem(folder_ / (name + ".pem"), [&](FILE* f) { PEM_write_X509(f, x); });
  files.key = write_pem(folder_ / (name + ".key"), [&](FILE* f) {
    PEM_write_PrivateKey(f, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
  X509_free(x);
  EVP_PKEY_free(key);
  return files;
}

} // namespace skippipe::transport::testing
