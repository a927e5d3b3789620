// Gates that tell each other that their nodes live.
#include "echo_gate.hpp"

#include <algorithm>

using namespace skippipe::runtime;
using namespace skippipe::runtime::testing;

namespace {

/// A gate that has dialed another one. Both sides of CAF have greeted and read the greeting.
struct pair_of_gates {
  explicit pair_of_gates(const gate::gate_limits& limits) : pair_of_gates(limits, limits, {}) {}
  pair_of_gates(const gate::gate_limits& listening, const gate::gate_limits& dialing,
                std::function<bool(const std::string&)> allow)
      : listener(listening, std::move(allow)) {
    gate::gate_options options;
    options.files = listener.world.keys("worker");
    options.log = log.sink();
    options.limits = dialing;
    dialer = std::make_unique<gate::gate>(std::move(options));
    REQUIRE(dialer->start() == "");
    listener.door->receive_with([this](gate::plain_connection connection) {
      const bool greeted =
          greet(connection.fd); // Checked where it is read: no assertions off the main thread.
      const std::lock_guard guard(listener.mutex);
      if (connection.name == "worker")
        far = std::move(connection.fd);
      return greeted;
    });
    auto [connection, problem] = dial(*dialer, "127.0.0.1:" + std::to_string(listener.port()));
    REQUIRE(problem == "");
    near = std::move(connection.fd);
    REQUIRE(greet(near));
    REQUIRE(eventually([&] { return take(near) == 37; }));
    REQUIRE(eventually([&] { return take(far) == 37; }));
  }
  ~pair_of_gates() { dialer->stop(); }

  static bool greet(const unique_fd& fd) {
    const auto hello = handshake_header(5) + "hello";
    return ::send(fd.get(), hello.data(), hello.size(), MSG_NOSIGNAL) == 37;
  }
  /// Bytes that CAF would read now; negative when none.
  ssize_t take(const unique_fd& fd) {
    const std::lock_guard guard(listener.mutex);
    char data[256];
    return ::recv(fd.get(), data, sizeof data, MSG_DONTWAIT);
  }

  echo_gate listener;
  line_log log;
  std::unique_ptr<gate::gate> dialer;
  unique_fd near, far;
};

/// Milliseconds after which somebody was given up, by the log; 0 when nobody was.
long longest_silence(line_log& log) {
  constexpr std::string_view words = "silent for ";
  long longest = 0;
  for (const auto& line : log.lines())
    if (const auto at = line.find(words); at != std::string::npos)
      longest = std::max(longest, std::stol(line.substr(at + words.size())));
  return longest;
}

} // namespace

TEST_CASE("gates tell each other that their nodes live, and CAF hears nothing of it",
          "[gate][heartbeat]") {
  gate::gate_limits limits;
  limits.heartbeat = 20ms;
  limits.silence = 1000ms;
  pair_of_gates g(limits);
  // Longer than it takes to give up the silent.
  CHECK(eventually([&] {
    return g.listener.door->counts().heartbeats > 60 && g.dialer->counts().heartbeats > 60;
  }));
  CHECK(g.dialer->counts().open == 1);
  CHECK(g.listener.door->counts().open == 1);
  CHECK(g.take(g.near) < 0);
  CHECK(g.take(g.far) < 0);
}

TEST_CASE("a node whose CAF reads nothing is given up, though its gate lives",
          "[gate][heartbeat]") {
  gate::gate_limits limits;
  limits.heartbeat = 50ms;
  limits.silence = 1500ms;
  pair_of_gates g(limits);
  const auto from = GENERATE(0, 1);
  CAPTURE(from);
  // As long as there is nothing to read, both live.
  const auto heard = g.listener.door->counts().heartbeats.load();
  CHECK(eventually([&] { return g.listener.door->counts().heartbeats > heard + 30; }));
  CHECK(g.dialer->counts().open == 1);
  REQUIRE(g.greet(from == 0 ? g.far : g.near)); // The other one leaves it unread.
  CHECK(eventually([&] { return g.dialer->counts().open == 0; }));
  // Who hears nothing says nothing either, so both may be the first to give up.
  const auto silence = [&] {
    return std::max(longest_silence(g.log), longest_silence(g.listener.log));
  };
  CHECK(eventually([&] { return silence() >= 1562; }));
}

TEST_CASE("a gate that stood still itself suspects nobody", "[gate][heartbeat]") {
  gate::gate_limits limits, patient;
  limits.heartbeat = patient.heartbeat = 50ms;
  limits.silence = 800ms;
  patient.silence = patience;
  std::atomic<bool> stood{false};
  pair_of_gates g(limits, patient, [&](const std::string& name) {
    if (name == "anybody" && !stood.exchange(true))
      ::usleep(2'000'000); // All that the listener's thread does stands still.
    return true;
  });
  for (int i = 0; i < 3; ++i) {
    stood = false;
    const auto heard = g.listener.door->counts().heartbeats.load();
    CHECK(eventually([&] { return g.listener.door->counts().heartbeats > heard + 3; }));
    tls_client visitor(g.listener.port(), g.listener.node("anybody"));
    CHECK(eventually([&] { return stood.load(); }));
  }
  const auto heard = g.listener.door->counts().heartbeats.load();
  CHECK(eventually([&] { return g.listener.door->counts().heartbeats > heard + 10; }));
  CHECK(g.dialer->counts().open == 1);
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
  CHECK(eventually([&] { return longest_silence(g.log) >= 312; }));
  CHECK(eventually([&] { return g.door->counts().open == 0; }));
}
