// RAII over OpenSSL, and the one way this project sets up TLS.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

namespace skippipe::transport::tls {

struct ssl_deleter {
  void operator()(SSL_CTX* c) const noexcept { SSL_CTX_free(c); }
  void operator()(SSL* s) const noexcept { SSL_free(s); }
  void operator()(X509* x) const noexcept { X509_free(x); }
  void operator()(X509_CRL* x) const noexcept { X509_CRL_free(x); }
  void operator()(BIO* b) const noexcept { BIO_free_all(b); }
};
using unique_ssl_context = std::unique_ptr<SSL_CTX, ssl_deleter>;
using unique_x509 = std::unique_ptr<X509, ssl_deleter>;
using unique_crl = std::unique_ptr<X509_CRL, ssl_deleter>;
using unique_bio = std::unique_ptr<BIO, ssl_deleter>;
using unique_ssl = std::unique_ptr<SSL, ssl_deleter>;

/// PEM files. `revoked` may be empty: no list; a running process takes up one that appears there.
struct credential_files {
  std::string ca, certificate, key, revoked;
};

/// TLS 1.3 with client certificates, AES-GCM, no resumption. Null, with the reason in `problem`, when
/// the files cannot be used.
unique_ssl_context make_ssl_context(const credential_files& files, std::string& problem);

/// Null unless the authority in `ca` signed it.
unique_crl read_revocation_list(const std::string& ca, const std::string& file);

/// The common name of the peer's verified certificate; empty when there is none.
std::string peer_name(const SSL* ssl);

/// What OpenSSL's error queue of this thread says, in one line; empties it.
std::string ssl_problem();

} // namespace skippipe::transport::tls
