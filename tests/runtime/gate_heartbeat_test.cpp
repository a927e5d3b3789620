// Gates that tell each other that their nodes live.
#include "echo_gate.hpp"

using namespace skippipe::runtime;
using namespace skippipe::runtime::testing;

TEST_CASE("gates tell each other that their nodes live, and CAF hears nothing of it",
          "[gate][heartbeat]") {
  gate::gate_limits limits;
  limits.heartbeat = 20ms;
  limits.silence = 1000ms;
  echo_gate g(limits);
  line_log log;
  gate::gate_options options;
  options.files = g.world.keys("worker");
  options.log = log.sink();
  options.limits = limits;
  gate::gate door(std::move(options));
  REQUIRE(door.start() == "");
  // Both sides of CAF greet; then neither has anything to say.
  const auto hello = handshake_header(5) + "hello";
  const auto greet = [&](const unique_fd& fd) {
    REQUIRE(::send(fd.get(), hello.data(), hello.size(), MSG_NOSIGNAL) == 37);
  };
  unique_fd far;
  g.door->receive_with([&](gate::plain_connection connection) {
    greet(connection.fd);
    const std::lock_guard guard(g.mutex);
    far = std::move(connection.fd);
    return true;
  });
  const auto [near, problem] = dial(door, "127.0.0.1:" + std::to_string(g.port()));
  REQUIRE(problem == "");
  greet(near.fd);
  // Longer than it takes to give up the silent.
  CHECK(eventually(
      [&] { return g.door->counts().heartbeats > 60 && door.counts().heartbeats > 60; }));
  CHECK(door.counts().open == 1);
  CHECK(g.door->counts().open == 1);
  const std::lock_guard guard(g.mutex);
  for (const int fd : {near.fd.get(), far.get()}) {
    char data[256];
    CHECK(::recv(fd, data, sizeof data, MSG_DONTWAIT) == 37);
    CHECK(::recv(fd, data, sizeof data, MSG_DONTWAIT) < 0);
  }
}

TEST_CASE("a peer that falls silent is given up", "[gate][heartbeat]") {
  gate::gate_limits limits;
  limits.heartbeat = 50ms;
  limits.silence = 250ms;
  echo_gate g(limits);
  tls_client silent(g.port(), g.node("silent"));
  check_echo(silent, handshake_header(0));
  // Heartbeats, until the gate has had enough.
  int heard = 0;
  while (heard < 1000 && silent.receive() != "")
    ++heard;
  CHECK(heard < 1000);
  CHECK(g.log.wait_for("dropped 'silent' at 127.0.0.1"));
  CHECK(g.log.wait_for("silent for 250 ms"));
  CHECK(eventually([&] { return g.door->counts().open == 0; }));
}
