#include "transport/tls/sockets.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <charconv>

namespace skippipe::transport::tls {
namespace {

template <class T>
void set(int fd, int level, int name, T value) {
  ::setsockopt(fd, level, name, &value, sizeof value); // a refusal only costs speed
}

void size_buffers(const tls_options& options, int fd) {
  if (options.window_bytes == 0)
    return;
  const auto each = static_cast<int>(
      std::min<std::size_t>(options.window_bytes / options.streams + 1, std::size_t{1} << 30));
  set(fd, SOL_SOCKET, SO_SNDBUF, each);
  set(fd, SOL_SOCKET, SO_RCVBUF, each);
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty())
    return std::nullopt;
  return port;
}

} // namespace

std::uint16_t socket_address::port() const {
  return ntohs(storage.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(storage).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(storage).sin_port);
}

void socket_address::set_port(std::uint16_t port) {
  if (storage.ss_family == AF_INET6)
    reinterpret_cast<sockaddr_in6&>(storage).sin6_port = htons(port);
  else
    reinterpret_cast<sockaddr_in&>(storage).sin_port = htons(port);
}

std::string socket_address::text() const {
  char host[INET6_ADDRSTRLEN] = {};
  if (storage.ss_family == AF_INET6) {
    ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr, host,
                sizeof host);
    return "[" + std::string(host) + "]:" + std::to_string(port());
  }
  ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(storage).sin_addr, host, sizeof host);
  return std::string(host) + ":" + std::to_string(port());
}

std::optional<socket_address> parse_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || text.size() > 100)
    return std::nullopt;
  const auto port = parse_port(text.substr(colon + 1));
  std::string host(text.substr(0, colon));
  if (host == "localhost")
    host = "127.0.0.1";
  if (!port)
    return std::nullopt;
  socket_address a;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(a.storage);
    v6.sin6_family = AF_INET6;
    a.size = sizeof v6;
    if (::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6.sin6_addr) != 1)
      return std::nullopt;
  } else {
    auto& v4 = reinterpret_cast<sockaddr_in&>(a.storage);
    v4.sin_family = AF_INET;
    a.size = sizeof v4;
    if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) != 1)
      return std::nullopt;
  }
  a.set_port(*port);
  return a;
}

unique_fd open_listener(const tls_options& options, socket_address& bound) {
  const auto parsed = parse_address(options.listen);
  if (!parsed)
    return {};
  std::uint32_t first = parsed->port(), last = first;
  if (first == 0 && !options.port_range.empty()) {
    const std::string_view range = options.port_range;
    const auto dash = range.find('-');
    const auto low = parse_port(range.substr(0, dash));
    const auto high = dash == std::string_view::npos ? low : parse_port(range.substr(dash + 1));
    if (!low || !high || *low == 0 || *low > *high)
      return {};
    first = *low;
    last = *high;
  }
  for (std::uint32_t port = first; port <= last; ++port) {
    socket_address at = *parsed;
    at.set_port(static_cast<std::uint16_t>(port));
    unique_fd fd(::socket(at.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd)
      return {};
    set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    size_buffers(options, fd.get()); // before the connection: it decides TCP's window scale
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at.storage), at.size) != 0
        || ::listen(fd.get(), 1024) != 0)
      continue;
    bound.size = sizeof bound.storage;
    if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound.storage), &bound.size) != 0)
      return {};
    return fd;
  }
  return {};
}

unique_fd open_connection(const tls_options& options, const socket_address& to) {
  unique_fd fd(::socket(to.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd)
    return {};
  size_buffers(options, fd.get());
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to.storage), to.size) != 0
      && errno != EINPROGRESS)
    return {};
  return fd;
}

connecting connected(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0)
    return connecting::failed;
  sockaddr_storage peer{};
  socklen_t peer_size = sizeof peer;
  return ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) == 0
             ? connecting::done
             : connecting::pending;
}

void tune(const tls_options& options, int fd) {
  set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  // What is not sent yet can still be reordered or canceled: keep it out of the kernel.
  set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 512 * 1024);
  const auto ms = static_cast<int>(options.dead_after.count());
  set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, ms);
  set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(fd, IPPROTO_TCP, TCP_KEEPIDLE, std::max(1, ms / 4000));
  set(fd, IPPROTO_TCP, TCP_KEEPINTVL, std::max(1, ms / 4000));
  set(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

void open_wide(const tls_options& options, int fd) {
  if (options.window_bytes != 0)
    return;
  // The kernel starts small and finds the right size late where the path is short. This is the one way to
  // more room that does not end its own sizing, and that net.core.rmem_max does not cut down.
  set(fd, SOL_SOCKET, SO_RCVLOWAT, 2 * 1024 * 1024);
  set(fd, SOL_SOCKET, SO_RCVLOWAT, 1);
}

} // namespace skippipe::transport::tls
