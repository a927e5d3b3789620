#include "runtime/gate/tunnel.hpp"

#include <openssl/err.h>

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
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
  // Most of what comes to an idle connection is a heartbeat: it needs no buffer.
  std::array<std::byte, 2 * message_filter::header_size> few;
  const bool was_empty = in.empty();
  const auto room = was_empty ? std::span<std::byte>(few) : in.room();
  const int result = SSL_read_ex(ssl.get(), room.data(), room.size(), &n);
  if (result != 1) {
    wire_ended = outcome(result) == progress::ended;
    return wire_ended;
  }
  is_heard = true;
  if (use == purpose::control) {
    if (heard.between_messages() && only_heartbeats(room.first(n))) {
      heartbeats += n / message_filter::header_size;
      return true;
    }
    if (!heard.accept(room.first(n))) {
      problem = "a control message was malformed or too large";
      return false;
    }
  }
  if (was_empty)
    std::copy_n(few.begin(), n, in.room().begin());
  in.filled(n);
  return true;
}

bool tunnel::hear_heartbeats() {
  return in.empty() && read_wire() && in.empty() && !finished() && SSL_pending(ssl.get()) == 0;
}

std::optional<std::size_t> tunnel::send(std::span<const std::byte> bytes) {
  ERR_clear_error();
  std::size_t n = 0;
  const int result = SSL_write_ex(ssl.get(), bytes.data(), bytes.size(), &n);
  if (result != 1 && outcome(result) == progress::ended) {
    wire_ended = true;
    return std::nullopt;
  }
  if (result != 1)
    return 0;
  spoke_at = transport::progress_thread::clock::now();
  return n;
}

bool tunnel::write_wire() {
  if (out.empty())
    return false;
  const auto n = send(out.waiting());
  if (n)
    out.emptied(*n);
  else
    out = {};
  return n.value_or(0) > 0;
}

bool tunnel::read_plain() {
  if (plain_ended || !plain || out.full())
    return false;
  const auto room = out.room();
  const auto n = ::recv(plain.get(), room.data(), room.size(), MSG_DONTWAIT);
  if (n > 0) {
    if (!said.accept(room.first(static_cast<std::size_t>(n))))
      problem = "a control message of this node was malformed";
    out.filled(static_cast<std::size_t>(n));
    return true;
  }
  plain_ended = n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
  return plain_ended;
}

bool tunnel::write_plain() {
  if (in.empty() || !plain)
    return false;
  caf_reads();
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

bool tunnel::caf_reads() {
  int unread = 0;
  // What is written only adds to it: less than before, and CAF has taken some. What follows nothing is new.
  const bool reads = ::ioctl(plain.get(), SIOCOUTQ, &unread) != 0 || unread == 0 || unread < unread_
                     || unread_ == 0;
  unread_ = unread;
  if (reads)
    read_at = transport::progress_thread::clock::now();
  return reads;
}

void tunnel::say_heartbeat() {
  if (!out.empty() || !said.between_messages())
    return;
  const auto message = heartbeat_message();
  if (send(message) != 0u)
    return; // It is on its way, or the peer is gone.
  // OpenSSL wants the same bytes once more.
  std::copy(message.begin(), message.end(), out.room().begin());
  out.filled(message.size());
}

} // namespace skippipe::runtime::gate
