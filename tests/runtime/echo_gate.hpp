// A running gate to knock at.
#pragma once

#include "gate_world.hpp"

#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <utility>

namespace skippipe::runtime::testing {

using transport::unique_fd;

/// A gate whose far side echoes.
struct echo_gate {
  explicit echo_gate(gate::gate_limits limits = {},
                     std::function<bool(const std::string&)> allow = {}) {
    gate::gate_options options;
    options.files = world.keys("server");
    options.listen = "127.0.0.1:0";
    options.limits = limits;
    options.allow = std::move(allow);
    options.log = log.sink();
    door = std::make_unique<gate::gate>(std::move(options));
    REQUIRE(door->start() == "");
    door->receive_with([this](gate::plain_connection connection) {
      const std::lock_guard guard(mutex);
      names.push_back(connection.name);
      connections.push_back(std::move(connection.fd));
      return true;
    });
    echoing = std::thread([this] { echo(); });
  }
  ~echo_gate() {
    door->stop();
    done = true;
    echoing.join();
  }
  void echo() {
    char data[65536];
    while (!done) {
      bool idle = true;
      const std::lock_guard guard(mutex);
      for (auto& fd : connections) {
        const auto n = fd ? ::recv(fd.get(), data, sizeof data, MSG_DONTWAIT) : -1;
        if (n == 0)
          fd = {};
        for (ssize_t sent = 0; n > 0 && sent < n;) {
          const auto m =
              ::send(fd.get(), data + sent, static_cast<std::size_t>(n - sent), MSG_NOSIGNAL);
          sent += m > 0 ? m : 0;
          if (m < 0 && errno != EAGAIN)
            break;
        }
        idle = idle && n <= 0;
      }
      if (idle)
        ::usleep(500);
    }
  }
  tls_client::manner node(const std::string& name) {
    const auto files = world.keys(name);
    return {files.certificate, files.key};
  }
  std::uint16_t port() const { return door->port(); }
  std::uint64_t refused() const { return door->counts().refused; }

  key_world world;
  line_log log;
  std::mutex mutex;
  std::vector<std::string> names;
  std::vector<unique_fd> connections;
  std::unique_ptr<gate::gate> door;
  std::atomic<bool> done{false};
  std::thread echoing;
};

inline void check_echo(tls_client& client, const std::string& text) {
  REQUIRE(client.send(text));
  std::string got;
  while (got.size() < text.size()) {
    const auto more = client.receive();
    REQUIRE(more != "");
    got += more;
  }
  CHECK(got == text);
}

inline std::pair<gate::plain_connection, std::string> dial(gate::gate& from,
                                                           const std::string& to) {
  std::promise<std::pair<gate::plain_connection, std::string>> promise;
  auto result = promise.get_future();
  from.dial(to, [&](gate::plain_connection c, std::string p) {
    promise.set_value({std::move(c), std::move(p)});
  });
  return result.get();
}

} // namespace skippipe::runtime::testing
