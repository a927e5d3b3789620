// Addresses and sockets of the tls backend. Nothing here blocks: names are not resolved.
#pragma once

#include "transport/progress.hpp"
#include "transport/tls/tls.hpp"

#include <sys/socket.h>

#include <optional>
#include <string>
#include <string_view>

namespace skippipe::transport::tls {

struct socket_address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  std::uint16_t port() const;
  void set_port(std::uint16_t port);
  std::string text() const; ///< "HOST:PORT", "[HOST]:PORT" for IPv6.
};

/// A numeric "HOST:PORT" or "[HOST]:PORT", or "localhost:PORT".
std::optional<socket_address> parse_address(std::string_view text);

/// A listening socket; the port range of `options` is searched for a free one.
unique_fd open_listener(const tls_options& options, socket_address& bound);

/// A socket on its way to `to`; empty when that failed at once.
unique_fd open_connection(const tls_options& options, const socket_address& to);

/// How far such a socket has come.
enum class connecting { pending, done, failed };
connecting connected(int fd);

/// Settings of a connected socket, either side.
void tune(const tls_options& options, int fd);

/// More room for what an authenticated peer sends.
void open_wide(const tls_options& options, int fd);

} // namespace skippipe::transport::tls
