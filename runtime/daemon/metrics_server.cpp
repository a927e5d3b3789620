#include "runtime/daemon/metrics_server.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace skippipe::runtime::daemon {

namespace {

using clock = std::chrono::steady_clock;

constexpr std::size_t most_request_bytes = 8192;
constexpr auto most_time = std::chrono::seconds{2};

/// False at the deadline.
bool wait_for(int fd, short events, clock::time_point until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now()).count();
  pollfd one{fd, events, 0};
  return left > 0 && ::poll(&one, 1, static_cast<int>(left)) > 0;
}

/// The first line of a whole request; empty where none came.
std::string read_request(int peer, clock::time_point until) {
  std::string request;
  char bytes[1024];
  while (request.find("\r\n\r\n") == std::string::npos) {
    if (request.size() > most_request_bytes || !wait_for(peer, POLLIN, until))
      return {};
    const auto n = ::recv(peer, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n <= 0)
      return {};
    request.append(bytes, static_cast<std::size_t>(n));
  }
  return request.substr(0, request.find("\r\n"));
}

void write_all(int peer, const std::string& text, clock::time_point until) {
  for (std::size_t done = 0; done < text.size();) {
    if (!wait_for(peer, POLLOUT, until))
      return;
    const auto n =
        ::send(peer, text.data() + done, text.size() - done, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n <= 0)
      return;
    done += static_cast<std::size_t>(n);
  }
}

std::string reply_of(const char* status, const std::string& body) {
  return std::string{"HTTP/1.1 "} + status
         + "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: "
         + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
}

} // namespace

metrics_server::metrics_server(const address& at, std::function<std::string()> text)
    : host_(at.host), text_(std::move(text)) {
  open(at);
  stop_ = ::eventfd(0, EFD_CLOEXEC);
  thread_ = std::thread{[this] { run(); }};
}

metrics_server::~metrics_server() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(stop_, &one, sizeof one);
  thread_.join();
  ::close(listener_);
  ::close(stop_);
}

void metrics_server::open(const address& at) {
  const auto host = at.host == "localhost" ? "127.0.0.1" : at.host;
  addrinfo hints{}, *found = nullptr;
  hints.ai_flags = AI_NUMERICHOST | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  const auto fail = [&](const char* why) {
    throw std::runtime_error("metrics.listen = '" + at.text() + "': cannot listen there: " + why
                             + "; choose another address");
  };
  if (::getaddrinfo(host.c_str(), std::to_string(at.port).c_str(), &hints, &found) != 0)
    fail("not an address of this machine");
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> guard{found, &::freeaddrinfo};
  listener_ = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (listener_ < 0 || ::bind(listener_, found->ai_addr, found->ai_addrlen) != 0
      || ::listen(listener_, 16) != 0
      || ::getsockname(listener_, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    const auto* why = std::strerror(errno);
    if (listener_ >= 0)
      ::close(listener_);
    fail(why);
  }
  port_ = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(bound).sin6_port
                                            : reinterpret_cast<sockaddr_in&>(bound).sin_port);
}

void metrics_server::run() {
  while (true) {
    pollfd fds[] = {{listener_, POLLIN, 0}, {stop_, POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0 && errno != EINTR)
      return;
    if (fds[1].revents != 0)
      return;
    if (fds[0].revents == 0)
      continue;
    const int peer = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (peer < 0)
      continue;
    serve(peer);
    ::close(peer);
  }
}

void metrics_server::serve(int peer) {
  const auto until = clock::now() + most_time;
  const auto request = read_request(peer, until);
  if (request.empty())
    return;
  const bool known = request.starts_with("GET /metrics ") || request.starts_with("GET /metrics?");
  std::string reply;
  try {
    reply = known ? reply_of("200 OK", text_()) : reply_of("404 Not Found", "GET /metrics\n");
  } catch (const std::exception& problem) {
    reply = reply_of("500 Internal Server Error", std::string{problem.what()} + '\n');
  }
  write_all(peer, reply, clock::now() + most_time);
}

} // namespace skippipe::runtime::daemon
