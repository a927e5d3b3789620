#include "runtime/security/certificate.hpp"

#include <openssl/bn.h>
#include <openssl/x509.h>

#include <arpa/inet.h>

#include <algorithm>
#include <ctime>

namespace skippipe::runtime::security {

namespace {

/// Clocks of nodes differ a little; a fresh certificate should hold on all of them.
constexpr auto clock_slack = std::chrono::minutes{10};

void add_extension(X509* x, const X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, const_cast<X509*>(issuer), x, nullptr, nullptr, 0);
  const unique_extension extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  require(extension != nullptr && X509_add_ext(x, extension.get(), -1) == 1, "an extension");
}

unique_integer random_serial() {
  const unique_bignum number(BN_new());
  require(number != nullptr && BN_rand(number.get(), 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1,
          "a random number");
  unique_integer serial(BN_to_ASN1_INTEGER(number.get(), nullptr));
  require(serial != nullptr, "a serial number");
  return serial;
}

unique_certificate start(EVP_PKEY* subject_key, const std::string& name, const X509* issuer,
                         wall_clock::time_point from, wall_clock::time_point until) {
  unique_certificate x(X509_new());
  require(x != nullptr && X509_set_version(x.get(), X509_VERSION_3) == 1, "a certificate");
  require(X509_set_serialNumber(x.get(), random_serial().get()) == 1, "a serial number");
  require(X509_set1_notBefore(x.get(), from_time(from).get()) == 1
              && X509_set1_notAfter(x.get(), from_time(until).get()) == 1,
          "a period");
  require(X509_set_pubkey(x.get(), subject_key) == 1, "a public key");
  X509_NAME* subject = X509_get_subject_name(x.get());
  require(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                     reinterpret_cast<const unsigned char*>(name.data()),
                                     static_cast<int>(name.size()), -1, 0)
              == 1,
          "a name");
  require(X509_set_issuer_name(x.get(), issuer != nullptr ? X509_get_subject_name(issuer) : subject)
              == 1,
          "an issuer");
  return x;
}

bool is_address(const std::string& name) {
  unsigned char out[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, name.c_str(), out) == 1
         || ::inet_pton(AF_INET6, name.c_str(), out) == 1;
}

} // namespace

std::string name_of(const X509* certificate) {
  char name[256] = {};
  const int length = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName,
                                               name, sizeof name);
  return length > 0 ? std::string(name, static_cast<std::size_t>(length)) : std::string{};
}

std::string text_of(const ASN1_INTEGER* serial) {
  const unique_bignum number(ASN1_INTEGER_to_BN(serial, nullptr));
  require(number != nullptr, "a serial number");
  char* digits = BN_bn2hex(number.get());
  std::string text = digits;
  OPENSSL_free(digits);
  const auto first = text.find_first_not_of('0');
  return first == std::string::npos ? "0" : text.substr(first);
}

std::string serial_of(const X509* certificate) {
  return text_of(X509_get0_serialNumber(certificate));
}

wall_clock::time_point to_time(const ASN1_TIME* time) {
  std::tm parts{};
  require(ASN1_TIME_to_tm(time, &parts) == 1, "reading a time");
  return wall_clock::from_time_t(::timegm(&parts));
}

unique_time from_time(wall_clock::time_point time) {
  unique_time result(ASN1_TIME_set(nullptr, wall_clock::to_time_t(time)));
  require(result != nullptr, "a time");
  return result;
}

wall_clock::time_point not_before(const X509* certificate) {
  return to_time(X509_get0_notBefore(certificate));
}

wall_clock::time_point not_after(const X509* certificate) {
  return to_time(X509_get0_notAfter(certificate));
}

std::string text_of(wall_clock::time_point time) {
  const std::time_t seconds = wall_clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::vector<std::string> alternative_names(const X509* certificate) {
  std::vector<std::string> names;
  auto* all = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(all); ++i) {
    const GENERAL_NAME* one = sk_GENERAL_NAME_value(all, i);
    const ASN1_STRING* text = one->type == GEN_DNS     ? one->d.dNSName
                              : one->type == GEN_IPADD ? one->d.iPAddress
                                                       : nullptr;
    if (text == nullptr)
      continue;
    const auto* data = ASN1_STRING_get0_data(text);
    const auto size = ASN1_STRING_length(text);
    char address[INET6_ADDRSTRLEN] = {};
    if (one->type == GEN_DNS)
      names.emplace_back(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
    else if ((size == 4 || size == 16)
             && ::inet_ntop(size == 4 ? AF_INET : AF_INET6, data, address, sizeof address))
      names.emplace_back(address);
  }
  GENERAL_NAMES_free(all);
  return names;
}

unique_key make_key() {
  unique_key key(EVP_EC_gen("P-256"));
  require(key != nullptr, "making a key");
  return key;
}

unique_certificate make_authority_certificate(EVP_PKEY* key, const std::string& name,
                                              wall_clock::time_point now, std::chrono::days life) {
  auto x = start(key, name, nullptr, now - clock_slack, now + life);
  add_extension(x.get(), x.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(x.get(), x.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(x.get(), x.get(), NID_subject_key_identifier, "hash");
  require(X509_sign(x.get(), key, EVP_sha256()) > 0, "signing");
  return x;
}

unique_certificate make_node_certificate(EVP_PKEY* subject_key, const std::string& name,
                                         const std::vector<std::string>& names,
                                         const X509* authority, EVP_PKEY* authority_key,
                                         wall_clock::time_point now, std::chrono::days life) {
  const auto until = std::min<wall_clock::time_point>(now + life, not_after(authority));
  auto x = start(subject_key, name, authority, now - clock_slack, until);
  std::string all = "DNS:" + name;
  for (const auto& other : names)
    all += (is_address(other) ? ",IP:" : ",DNS:") + other;
  add_extension(x.get(), authority, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(x.get(), authority, NID_key_usage, "critical,digitalSignature");
  add_extension(x.get(), authority, NID_ext_key_usage, "serverAuth,clientAuth");
  add_extension(x.get(), authority, NID_subject_alt_name, all);
  add_extension(x.get(), authority, NID_subject_key_identifier, "hash");
  add_extension(x.get(), authority, NID_authority_key_identifier, "keyid");
  require(X509_sign(x.get(), authority_key, EVP_sha256()) > 0, "signing");
  return x;
}

} // namespace skippipe::runtime::security
