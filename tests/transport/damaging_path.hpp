// A TCP path that flips bits: accepts on a local port and passes on to another one.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <list>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace skippipe::transport::testing {

/// Passes bytes both ways, until `damage` is set: then one bit of the next bytes to the target flips.
class damaging_path {
public:
  explicit damaging_path(std::uint16_t target) : target_(target) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at = local(0);
    socklen_t size = sizeof at;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&at), size) != 0
        || ::listen(listener_, 64) != 0
        || ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size) != 0)
      throw std::runtime_error("no port for the path");
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~damaging_path() {
    ending_ = true;
    thread_.join();
    for (const lane& l : lanes_)
      ::close(l.client), ::close(l.server);
    ::close(listener_);
  }
  damaging_path(const damaging_path&) = delete;
  damaging_path& operator=(const damaging_path&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::atomic<bool> damage{false};

private:
  struct lane {
    int client, server;
  };
  static sockaddr_in local(std::uint16_t port) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
  }

  void accept_one() {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in to = local(target_);
    if (client < 0 || ::connect(server, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
      throw std::runtime_error("the path leads nowhere");
    lanes_.push_back({client, server});
  }

  /// False when the connection has ended.
  bool pass(int from, int to, bool may_damage) {
    char bytes[65536];
    const ssize_t n = ::recv(from, bytes, sizeof bytes, 0);
    if (n <= 0)
      return false;
    if (may_damage && damage.exchange(false))
      bytes[n / 2] ^= 1;
    for (ssize_t sent = 0; sent < n;) {
      const ssize_t k = ::send(to, bytes + sent, static_cast<std::size_t>(n - sent), MSG_NOSIGNAL);
      if (k <= 0)
        return false;
      sent += k;
    }
    return true;
  }

  void run() {
    while (!ending_) {
      std::vector<pollfd> watched{{listener_, POLLIN, 0}};
      for (const lane& l : lanes_)
        watched.push_back({l.client, POLLIN, 0}), watched.push_back({l.server, POLLIN, 0});
      ::poll(watched.data(), watched.size(), 20);
      std::size_t i = 1;
      lanes_.remove_if([&](const lane& l) {
        const bool up = watched[i++].revents != 0, down = watched[i++].revents != 0;
        if ((!up || pass(l.client, l.server, true)) && (!down || pass(l.server, l.client, false)))
          return false;
        ::close(l.client), ::close(l.server);
        return true;
      });
      if (watched[0].revents != 0)
        accept_one();
    }
  }

  const std::uint16_t target_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::list<lane> lanes_; // the thread's
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

} // namespace skippipe::transport::testing
