// RAII over OpenSSL, and the one way this project sets up TLS.
#pragma once

#include "transport/tls/tls.hpp"

#include <openssl/ssl.h>

#include <memory>
#include <string>

namespace skippipe::transport::tls {

struct ssl_deleter {
  void operator()(SSL_CTX* c) const noexcept { SSL_CTX_free(c); }
  void operator()(SSL* s) const noexcept { SSL_free(s); }
  void operator()(X509* x) const noexcept { X509_free(x); }
};
using unique_ssl_context = std::unique_ptr<SSL_CTX, ssl_deleter>;
using unique_ssl = std::unique_ptr<SSL, ssl_deleter>;

/// TLS 1.3 with client certificates, AES-GCM, no resumption. Null, with the reason in `problem`, when
/// the files of `options` cannot be used.
unique_ssl_context make_ssl_context(const tls_options& options, std::string& problem);

/// The common name of the peer's verified certificate; empty when there is none.
std::string peer_name(const SSL* ssl);

/// What OpenSSL's error queue of this thread says, in one line; empties it.
std::string ssl_problem();

} // namespace skippipe::transport::tls
