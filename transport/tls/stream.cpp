#include "transport/tls/stream.hpp"

#include <openssl/err.h>

#include <algorithm>

namespace skippipe::transport::tls {
namespace {

/// AES-GCM should not encrypt more than about 2^38 bytes of full records under one key.
constexpr std::uint64_t rekey_after = std::uint64_t{1} << 36;

/// Encrypted bytes per call of the kernel. OpenSSL would make one or two for each record of 16 KiB, and
/// each may wake the receiver. (Its read-ahead moves all that it holds to the front for every record.)
constexpr long send_bytes = 256 * 1024, receive_bytes = 256 * 1024;

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

bool stream::begin_tls(SSL_CTX* context) {
  ssl.reset(SSL_new(context));
  unique_bio buffered(BIO_new(BIO_f_buffer())), socket(BIO_new_socket(fd.get(), BIO_NOCLOSE));
  if (ssl == nullptr || buffered == nullptr || socket == nullptr
      || BIO_set_read_buffer_size(buffered.get(), receive_bytes) != 1
      || BIO_set_write_buffer_size(buffered.get(), send_bytes) != 1)
    return false;
  BIO* const both = BIO_push(buffered.release(), socket.release());
  SSL_set_bio(ssl.get(), both, both);
  accepted ? SSL_set_accept_state(ssl.get()) : SSL_set_connect_state(ssl.get());
  return true;
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

io stream::flush() {
  BIO* const out = SSL_get_wbio(ssl.get());
  if (BIO_wpending(out) == 0)
    return io::done;
  ERR_clear_error();
  write_blocked = false;
  if (BIO_flush(out) > 0)
    return io::done;
  write_blocked = BIO_should_retry(out);
  return write_blocked ? io::blocked : io::closed;
}

} // namespace skippipe::transport::tls
