#include "runtime/gate/tunnel.hpp"

#include <openssl/err.h>

#include <sys/socket.h>

#include <cerrno>

namespace skippipe::runtime::gate {

tunnel::progress tunnel::outcome(int result) {
  switch (SSL_get_error(ssl.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return progress::waiting;
    case SSL_ERROR_WANT_WRITE:
      wire_wants_out = true;
      return progress::waiting;
    default:
      return progress::ended;
  }
}

tunnel::progress tunnel::handshake() {
  ERR_clear_error();
  wire_wants_out = false;
  const int result = SSL_do_handshake(ssl.get());
  return result == 1 ? progress::moved : outcome(result);
}

tunnel::progress tunnel::peek() {
  ERR_clear_error();
  char byte = 0;
  std::size_t n = 0;
  const int result = SSL_peek_ex(ssl.get(), &byte, 1, &n);
  return result == 1 ? progress::moved : outcome(result);
}

bool tunnel::read_wire() {
  if (wire_ended || in.full())
    return false;
  ERR_clear_error();
  std::size_t n = 0;
  const auto room = in.room();
  const int result = SSL_read_ex(ssl.get(), room.data(), room.size(), &n);
  if (result != 1) {
    wire_ended = outcome(result) == progress::ended;
    return wire_ended;
  }
  if (use == purpose::control && !filter.accept(room.first(n))) {
    problem = "a control message was malformed or too large";
    return false;
  }
  in.filled(n);
  return true;
}

bool tunnel::write_wire() {
  if (out.empty())
    return false;
  ERR_clear_error();
  std::size_t n = 0;
  const auto waiting = out.waiting();
  const int result = SSL_write_ex(ssl.get(), waiting.data(), waiting.size(), &n);
  if (result != 1) {
    if (outcome(result) == progress::ended) {
      wire_ended = true;
      out = {};
    }
    return false;
  }
  out.emptied(n);
  return true;
}

bool tunnel::read_plain() {
  if (plain_ended || !plain || out.full())
    return false;
  const auto room = out.room();
  const auto n = ::recv(plain.get(), room.data(), room.size(), MSG_DONTWAIT);
  if (n > 0) {
    out.filled(static_cast<std::size_t>(n));
    return true;
  }
  plain_ended = n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
  return plain_ended;
}

bool tunnel::write_plain() {
  if (in.empty() || !plain)
    return false;
  const auto waiting = in.waiting();
  const auto n = ::send(plain.get(), waiting.data(), waiting.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n > 0) {
    in.emptied(static_cast<std::size_t>(n));
    return true;
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
    plain_wants_out = true;
  } else {
    plain_ended = true;
    in = {};
  }
  return false;
}

tunnel::progress tunnel::pump() {
  wire_wants_out = plain_wants_out = false;
  bool moved = true;
  for (int round = 0; moved && round < 16; ++round) {
    moved = read_wire();
    moved |= write_plain();
    moved |= read_plain();
    moved |= write_wire();
    if (finished())
      return progress::ended;
  }
  if (!moved) {
    in.release();
    out.release();
  }
  return moved ? progress::moved : progress::waiting;
}

} // namespace skippipe::runtime::gate
