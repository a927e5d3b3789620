// The contract of transport.hpp when something goes wrong or ends, on every backend.
#include "pair.hpp"

#include <catch2/catch.hpp>

#include <thread>

using namespace skippipe::transport;
using namespace skippipe::transport::testing;

TEST_CASE("too many pending transfers are refused at once", "[transport][conformance]") {
  limits bounds;
  bounds.max_pending = 8;
  pair_of_peers p(bounds, {});
  p.connect();
  p.at_b.hold();
  outcomes done;
  std::thread first([&] { p.a->send(2, numbered(0), {}, done.as(0)); });
  REQUIRE(p.at_b.wait_held());
  constexpr std::size_t n = 40;
  const buffer big = filled(std::size_t{8} << 20, 1); // more than sockets hold
  for (std::size_t i = 1; i < n; ++i)
    p.a->send(2, numbered(1), big, done.as(i));
  CHECK(done.wait_key(n - 1));
  CHECK(done.of(n - 1) == errc::too_many_pending);
  p.at_b.release();
  first.join();
  REQUIRE(done.wait(n));
}

TEST_CASE("a deadline ends a stuck transfer", "[transport][conformance]") {
  pair_of_peers p;
  p.connect();
  p.at_b.hold();
  outcomes done;
  std::thread first([&] { p.a->send(2, numbered(0), {}, done.as(0)); });
  REQUIRE(p.at_b.wait_held());
  const buffer big = filled(std::size_t{128} << 20, 1); // more than the sockets of a path hold
  p.a->send(2, numbered(1), big, done.as(1), 100ms);
  done.wait_key(1, 1s); // loopback looks at the deadline when the message's turn comes
  p.at_b.release();
  first.join();
  REQUIRE(done.wait(2));
  CHECK(done.of(1) == errc::timed_out);
  p.a->send(2, numbered(2), filled(1000, 2), done.as(2));
  REQUIRE(done.wait(3));
  CHECK_FALSE(done.of(2));
  CHECK(p.at_b.wait_number(2)); // number 1 may have arrived late
}

TEST_CASE("a canceled transfer completes as canceled", "[transport][conformance]") {
  pair_of_peers p;
  p.connect();
  p.at_b.hold();
  outcomes done;
  std::thread first([&] { p.a->send(2, numbered(0), {}, done.as(0)); });
  REQUIRE(p.at_b.wait_held());
  const buffer big = filled(std::size_t{32} << 20, 1);
  const request_id r1 = p.a->send(2, numbered(1), big, done.as(1));
  const request_id r2 = p.a->send(2, numbered(2), big, done.as(2));
  p.a->cancel(r2);
  p.a->cancel(r1);
  p.a->cancel(r1);
  p.a->cancel(987654);
  CHECK(done.wait_key(1));
  CHECK(done.wait_key(2));
  p.at_b.release();
  first.join();
  REQUIRE(done.wait(3));
  CHECK(done.of(1) == errc::canceled);
  CHECK(done.of(2) == errc::canceled);
  p.a->send(2, numbered(3), filled(1000, 2), done.as(3));
  REQUIRE(done.wait(4));
  CHECK_FALSE(done.of(3));
  REQUIRE(p.at_b.wait_number(3));
  CHECK(done.calls() == 4);
}

TEST_CASE("closing while sending ends every transfer", "[transport][conformance]") {
  const bool sender_closes = GENERATE(true, false);
  pair_of_peers p;
  p.connect();
  outcomes done;
  constexpr std::size_t n = 300;
  const buffer payload = filled(200'000, 3);
  std::atomic<std::size_t> sent{0};
  std::thread sending([&] {
    for (std::size_t i = 0; i < n; ++i, ++sent)
      p.a->send(2, numbered(static_cast<std::uint32_t>(i)), payload, done.as(i));
  });
  while (sent < n / 3)
    std::this_thread::yield();
  (sender_closes ? *p.a : *p.b).close();
  sending.join();
  REQUIRE(done.wait(n));
  CHECK(done.calls() == n);
  if (sender_closes) {
    CHECK(p.at_b.wait_lost(1));
    CHECK(p.at_b.lost().size() == 1);
    p.a->send(2, numbered(0), {}, done.as(n));
    REQUIRE(done.wait_key(n));
    CHECK(done.of(n) == errc::closed);
  } else {
    CHECK(p.at_a.wait_lost(2));
    CHECK(p.at_a.lost().size() == 1);
  }
  // What arrived is a prefix: nothing lost, repeated or reordered before the end.
  const auto got = p.at_b.messages();
  for (std::size_t i = 0; i < got.size(); ++i) {
    REQUIRE(number_of(got[i].header) == i);
    REQUIRE(equal(got[i].payload, payload));
  }
}

TEST_CASE("disconnect is seen by the peer only", "[transport][conformance]") {
  pair_of_peers p;
  p.connect();
  outcomes done;
  p.a->send(2, numbered(1), {}, done.as(0));
  REQUIRE(p.at_b.wait_messages(1));
  p.a->disconnect(2);
  p.a->disconnect(2);
  REQUIRE(p.at_b.wait_lost(1));
  CHECK(p.at_a.lost().empty());
  p.a->send(2, numbered(2), {}, done.as(1));
  p.b->send(1, numbered(3), {}, done.as(2));
  REQUIRE(done.wait(3));
  CHECK(done.of(1) == errc::unknown_peer);
  CHECK(done.of(2) == errc::unknown_peer);
}

TEST_CASE("a connection can be made again", "[transport][conformance]") {
  pair_of_peers p;
  p.connect();
  std::uint32_t sent = 0;
  for (int round = 0; round < 3; ++round) {
    outcomes done;
    p.a->send(2, numbered(++sent), filled(200'000, 1), done.as(0));
    REQUIRE(p.at_b.wait_number(sent));
    REQUIRE(done.wait(1)); // A disconnection gives up what has not been completed.
    p.a->disconnect(2);
    REQUIRE(p.at_b.wait_lost_total(round + 1u));
    p.a->connect(2, p.b->local_address(), done.as(1));
    p.b->connect(1, p.a->local_address(), done.as(2));
    p.a->send(2, numbered(++sent), filled(200'000, 2), done.as(3));
    p.b->send(1, numbered(sent), filled(200'000, 3), done.as(4));
    REQUIRE(done.wait(5));
    for (std::size_t i = 0; i < 5; ++i)
      CHECK_FALSE(done.of(i));
    REQUIRE(p.at_b.wait_number(sent));
    REQUIRE(p.at_a.wait_number(sent));
  }
}

TEST_CASE("a second life of a node can be connected", "[transport][conformance]") {
  pair_of_peers p;
  p.connect();
  outcomes done;
  p.b->close();
  REQUIRE(p.at_a.wait_lost(2));
  auto b2 = p.w->make(2);
  recorder at_b2;
  REQUIRE_FALSE(b2->listen(at_b2));
  p.a->connect(2, b2->local_address(), done.as(0));
  b2->connect(1, p.a->local_address(), done.as(1));
  p.a->send(2, numbered(5), filled(100'000, 5), done.as(2));
  b2->send(1, numbered(6), filled(100'000, 6), done.as(3));
  REQUIRE(done.wait(4));
  for (std::size_t i = 0; i < 4; ++i)
    CHECK_FALSE(done.of(i));
  REQUIRE(at_b2.wait_messages(1));
  REQUIRE(p.at_a.wait_messages(1));
  CHECK(p.at_b.messages().empty());
  b2->close();
}

TEST_CASE("connecting twice or to nowhere fails", "[transport][conformance]") {
  pair_of_peers p;
  p.connect();
  outcomes done;
  p.a->connect(2, p.b->local_address(), done.as(0));
  REQUIRE(done.wait(1));
  CHECK(done.of(0) == errc::already_connected);
  p.a->connect(3, address(3, std::byte{0xff}), done.as(1));
  REQUIRE(done.wait(2));
  CHECK(done.of(1));
  p.a->send(3, numbered(0), {}, done.as(2));
  REQUIRE(done.wait(3));
  CHECK(done.of(2));
}

TEST_CASE("an endpoint closes inside its own callback", "[transport][conformance]") {
  pair_of_peers p;
  p.at_b.then = [&](peer_id, std::span<const std::byte>) { p.b->close(); };
  p.connect();
  outcomes done;
  for (std::size_t i = 0; i < 10; ++i)
    p.a->send(2, numbered(0), filled(100'000, 1), done.as(i));
  REQUIRE(done.wait(10));
  REQUIRE(p.at_a.wait_lost(2));
  p.b->close();
  CHECK(p.at_b.messages().size() == 1);
}
