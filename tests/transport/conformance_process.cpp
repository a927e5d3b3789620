// The contract of transport.hpp when the other side is a process that dies or freezes.
#include "child.hpp"
#include "hex.hpp"
#include "pair.hpp"
#include "tests/sanitized.hpp"

#include <catch2/catch.hpp>

using namespace skippipe::transport;
using namespace skippipe::transport::testing;

namespace {

/// Node 1 in this process, and any number of echoing processes.
struct with_processes {
  with_processes() {
    node = w->make(1);
    REQUIRE_FALSE(node->listen(at_node));
  }
  ~with_processes() { node->close(); }

  child& start(peer_id id) {
    children.push_back(std::make_unique<child>(w->peer_command(id)));
    child& c = *children.back();
    outcomes connected;
    node->connect(id, from_hex(c.read_line()), connected.as(0));
    c.write_line("connect 1 " + to_hex(node->local_address()));
    REQUIRE(c.read_line() == "connected");
    REQUIRE(connected.wait(1));
    REQUIRE_FALSE(connected.of(0));
    return c;
  }
  /// Sends and waits for the echo.
  void check_echo(peer_id id, std::uint32_t number, std::size_t size) {
    const buffer payload = filled(size, number);
    outcomes done;
    node->send(id, numbered(number), payload, done.as(0));
    REQUIRE(done.wait(1));
    CHECK_FALSE(done.of(0));
    REQUIRE(at_node.wait_number(number));
    CHECK(equal(at_node.messages().back().payload, payload));
    at_node.forget_payloads();
  }

  std::unique_ptr<world> w = make_world();
  recorder at_node;
  std::unique_ptr<endpoint> node;
  std::vector<std::unique_ptr<child>> children;
};

} // namespace

TEST_CASE("messages cross processes both ways", "[transport][conformance][process]") {
  with_processes p;
  p.start(2);
  std::uint32_t number = 0;
  for (const std::size_t size : {0u, 10u, 5'000u, 100'000u, 8u << 20})
    p.check_echo(2, ++number, size);
}

TEST_CASE("a killed peer is reported and the rest goes on", "[transport][conformance][process]") {
  // Deaths fall into different moments of a transfer.
  const std::size_t mebibytes =
      skippipe::one_case_in(3) == 1 ? GENERATE(16, 1, 16, 2, 16, 4, 16) : GENERATE(16, 1);
  with_processes p;
  child& victim = p.start(2);
  p.start(3);
  p.check_echo(2, 1, 100'000);
  const buffer big = filled(mebibytes << 20, 1);
  outcomes done;
  constexpr std::size_t n = 20;
  for (std::size_t i = 0; i < n; ++i)
    p.node->send(2, numbered(1000), big, done.as(i));
  victim.kill(SIGKILL);
  CHECK(p.at_node.wait_lost(2, 10s));
  REQUIRE(done.wait(n, 10s));
  // The last ones may have been sent when the loss was already known.
  CHECK((done.of(n - 1) == errc::peer_lost || done.of(n - 1) == errc::unknown_peer));
  p.check_echo(3, 2, 1'000'000);
  p.start(2); // a new life
  p.check_echo(2, 3, 1'000'000);
  CHECK(p.at_node.lost().size() == 1);
}

TEST_CASE("a frozen peer costs its transfers only", "[transport][conformance][process]") {
  const bool wakes = GENERATE(true, false);
  with_processes p;
  child& frozen = p.start(2);
  p.start(3);
  p.check_echo(2, 1, 100'000);
  frozen.kill(SIGSTOP);
  const buffer big = filled(std::size_t{16} << 20, 1);
  outcomes done;
  constexpr std::size_t n = 6;
  for (std::size_t i = 0; i < n; ++i)
    p.node->send(2, numbered(1000), big, done.as(i), 300ms);
  for (std::uint32_t i = 0; i < 5; ++i)
    p.check_echo(3, 10 + i, 1'000'000); // the engine survives
  REQUIRE(done.wait(n, 10s));
  CHECK(done.of(n - 1) == errc::timed_out);
  if (wakes) {
    frozen.kill(SIGCONT);
    p.check_echo(2, 2, 100'000);
    CHECK(p.at_node.lost().empty());
  } else {
    p.node->disconnect(2); // what the failure detector would ask for
    p.check_echo(3, 3, 1'000'000);
    const auto start = std::chrono::steady_clock::now();
    p.node->close();
    CHECK(std::chrono::steady_clock::now() - start < 3s);
    frozen.kill(SIGCONT); // what it still sends finds nobody
  }
}
