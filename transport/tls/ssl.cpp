#include "transport/tls/ssl.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace skippipe::transport::tls {

std::string ssl_problem() {
  std::string text;
  char line[160];
  while (const unsigned long code = ERR_get_error()) {
    ERR_error_string_n(code, line, sizeof line);
    if (text.empty()) // the first is the cause
      text = line;
  }
  return text.empty() ? "connection closed" : text;
}

unique_crl read_revocation_list(const std::string& ca, const std::string& file) {
  const unique_bio from_ca(BIO_new_file(ca.c_str(), "r"));
  const unique_bio from(BIO_new_file(file.c_str(), "r"));
  if (from_ca == nullptr || from == nullptr)
    return {};
  const unique_x509 authority(PEM_read_bio_X509(from_ca.get(), nullptr, nullptr, nullptr));
  unique_crl list(PEM_read_bio_X509_CRL(from.get(), nullptr, nullptr, nullptr));
  if (authority == nullptr || list == nullptr
      || X509_CRL_verify(list.get(), X509_get0_pubkey(authority.get())) != 1)
    return {};
  return list;
}

unique_ssl_context make_ssl_context(const credential_files& files, std::string& problem) {
  ERR_clear_error();
  unique_ssl_context context(SSL_CTX_new(TLS_method()));
  SSL_CTX* c = context.get();
  const auto fail = [&](const std::string& what) {
    problem = what + ": " + ssl_problem();
    return unique_ssl_context{};
  };
  if (c == nullptr || SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) != 1)
    return fail("TLS 1.3");
  // AES-128 first: it is the fastest here, and its strength is not what an attacker would try.
  if (SSL_CTX_set_ciphersuites(c, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384") != 1)
    return fail("cipher suites");
  if (SSL_CTX_load_verify_locations(c, files.ca.c_str(), nullptr) != 1)
    return fail("CA file '" + files.ca + "'");
  if (SSL_CTX_use_certificate_chain_file(c, files.certificate.c_str()) != 1)
    return fail("certificate '" + files.certificate + "'");
  if (SSL_CTX_use_PrivateKey_file(c, files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    const bool fits = ERR_GET_REASON(ERR_peek_last_error()) != X509_R_KEY_VALUES_MISMATCH;
    return fail("key '" + files.key + "'" + (fits ? "" : " does not belong to the certificate"));
  }
  if (!files.revoked.empty()) {
    // A list that its authority did not sign would fail every handshake, and say less.
    const unique_crl list = read_revocation_list(files.ca, files.revoked);
    X509_STORE* store = SSL_CTX_get_cert_store(c);
    if (list == nullptr || X509_STORE_add_crl(store, list.get()) != 1)
      return fail("revocation list '" + files.revoked + "'");
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
  }
  SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(c, 0);
  SSL_CTX_set_max_cert_list(c, 16 * 1024); // what a stranger can make us hold
  SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
                          | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  return context;
}

std::string peer_name(const SSL* ssl) {
  const unique_x509 certificate(SSL_get1_peer_certificate(ssl));
  if (certificate == nullptr || SSL_get_verify_result(ssl) != X509_V_OK)
    return {};
  char name[256] = {};
  const int length = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()),
                                               NID_commonName, name, sizeof name);
  return length > 0 ? std::string(name, static_cast<std::size_t>(length)) : std::string{};
}

} // namespace skippipe::transport::tls
