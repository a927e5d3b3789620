#include "transport/tls/stream.hpp"

#include <openssl/err.h>

#include <algorithm>

namespace skippipe::transport::tls {
namespace {

/// AES-GCM should not encrypt more than about 2^38 bytes of full records under one key.
constexpr std::uint64_t rekey_after = std::uint64_t{1} << 36;

} // namespace

io stream::outcome(int result) {
  switch (SSL_get_error(ssl.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return io::blocked;
    case SSL_ERROR_WANT_WRITE:
      write_blocked = true;
      return io::blocked;
    default:
      return io::closed;
  }
}

io stream::handshake() {
  ERR_clear_error();
  write_blocked = false;
  const int result = SSL_do_handshake(ssl.get());
  return result == 1 ? io::done : outcome(result);
}

io stream::read(std::span<std::byte> into, std::size_t& n) {
  ERR_clear_error();
  n = 0;
  const int result = SSL_read_ex(ssl.get(), into.data(), into.size(), &n);
  return result == 1 ? io::done : outcome(result);
}

io stream::write(std::span<const std::byte> from, std::size_t& n) {
  ERR_clear_error();
  write_blocked = false;
  n = 0;
  const int result = SSL_write_ex(ssl.get(), from.data(), from.size(), &n);
  if (result != 1)
    return outcome(result);
  since_rekey += n;
  if (since_rekey >= rekey_after) {
    since_rekey = 0;
    SSL_key_update(ssl.get(), SSL_KEY_UPDATE_NOT_REQUESTED);
  }
  return io::done;
}

} // namespace skippipe::transport::tls
