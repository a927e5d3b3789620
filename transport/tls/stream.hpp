// One TCP connection with TLS on it, non-blocking.
#pragma once

#include "transport/progress.hpp"
#include "transport/tls/outbox.hpp"
#include "transport/tls/ssl.hpp"

namespace skippipe::transport::tls {

struct channel;

enum class io { done, blocked, closed };

struct stream {
  std::uint64_t id = 0;
  unique_fd fd;
  unique_ssl ssl;
  enum class phase { connecting, handshaking, greeting, open } at = phase::connecting;
  bool accepted = false; ///< Plays TLS's server.
  bool dead = false;
  std::vector<std::byte> preamble; ///< Sent before TLS, to a relay.
  std::string remote;              ///< "HOST:PORT", for logs.
  std::string name;                ///< The certificate's, once handshaken.
  channel* owner = nullptr;        ///< Null for an accepted one that has not greeted.
  unsigned index = 0;              ///< Within the channel.
  progress_thread::timer_id timer;

  greeting hello; ///< Ours.
  std::size_t greeting_sent = 0;
  std::vector<std::byte> greeting_in;

  outbox::piece writing; ///< `written` bytes of head and body are out.
  bool has_piece = false;
  std::size_t written = 0;
  std::uint64_t since_rekey = 0; ///< Bytes under the current key.
  bool wants_in = true;          ///< What epoll is asked for.
  bool wants_out = false;
  bool write_blocked = false;
  bool paused = false; ///< Its next bytes belong to a message not announced yet.

  /// Takes the socket over; false without memory.
  bool begin_tls(SSL_CTX* context);
  io handshake();
  io read(std::span<std::byte> into, std::size_t& n);
  /// Encrypts into a buffer, which goes out when it is full or flushed.
  io write(std::span<const std::byte> from, std::size_t& n);
  io flush();

private:
  io outcome(int result);
};

} // namespace skippipe::transport::tls
