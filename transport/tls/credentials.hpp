// The TLS files of a process, which an operator may replace while it runs: renewed certificates,
// a longer revocation list.
#pragma once

#include "transport/tls/ssl.hpp"

#include <array>
#include <functional>
#include <string>

namespace skippipe::transport::tls {

/// Belongs to one thread.
class credentials {
public:
  /// `adjust` is applied to every context made from the files.
  explicit credentials(std::function<void(SSL_CTX*)> adjust = {}) : adjust_(std::move(adjust)) {}

  /// False, with the reason in `problem`, when the files cannot be used.
  bool load(credential_files files, std::string& problem);

  /// Reads the files again if one of them changed; true when they are now in use. Files that cannot
  /// be used (half of a renewal, say) leave everything as it was, and are reported once.
  bool refresh(std::string& problem);

  /// For new handshakes; those under way keep theirs.
  SSL_CTX* context() const noexcept { return context_.get(); }

  /// Whether the peer's certificate is on the revocation list now.
  bool revoked(const SSL* ssl) const;

private:
  struct stamp {
    std::int64_t seconds = 0, nanoseconds = 0, size = 0;
    std::uint64_t inode = 0;
    friend bool operator==(const stamp&, const stamp&) = default;
  };
  using stamps = std::array<stamp, 4>;
  stamps look() const;
  bool read(std::string& problem);

  std::function<void(SSL_CTX*)> adjust_;
  credential_files files_;
  stamps seen_;
  unique_ssl_context context_;
  unique_crl revoked_;
};

} // namespace skippipe::transport::tls
