// The contract of transport.hpp, tested the same way on every backend.
#include "backend.hpp"
#include "recorder.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <cstring>
#include <thread>

namespace skippipe::transport::testing {

std::size_t largest_payload() {
  const char* given = std::getenv("SKIPPIPE_TEST_MAX_PAYLOAD");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::size_t{64} << 20;
}

} // namespace skippipe::transport::testing

using namespace skippipe::transport;
using namespace skippipe::transport::testing;

namespace {

/// Two connected endpoints, 1 and 2.
struct pair_of_peers {
  explicit pair_of_peers(const limits& bounds_a = {}, const limits& bounds_b = {}) {
    a = w->make(1, bounds_a);
    b = w->make(2, bounds_b);
  }
  void connect() {
    REQUIRE_FALSE(a->listen(at_a));
    REQUIRE_FALSE(b->listen(at_b));
    outcomes connected;
    a->connect(2, b->local_address(), connected.as(0));
    b->connect(1, a->local_address(), connected.as(1));
    REQUIRE(connected.wait(2));
    REQUIRE_FALSE(connected.of(0));
    REQUIRE_FALSE(connected.of(1));
  }
  ~pair_of_peers() {
    a->close();
    b->close();
    CHECK_FALSE(at_a.overlapped);
    CHECK_FALSE(at_b.overlapped);
  }
  std::unique_ptr<world> w = make_world();
  recorder at_a, at_b;
  std::unique_ptr<endpoint> a, b;
};

bytes numbered(std::uint32_t n) {
  bytes header(sizeof n);
  std::memcpy(header.data(), &n, sizeof n);
  return header;
}
std::uint32_t number_of(std::span<const std::byte> header) {
  std::uint32_t n = 0;
  if (header.size() >= sizeof n)
    std::memcpy(&n, header.data(), sizeof n);
  return n;
}

/// Payloads around every threshold a backend may have.
std::size_t mixed_size(std::uint32_t i) {
  constexpr std::size_t sizes[] = {0, 1, 300, 4096, 70'000, 0, 1'000'000, 17};
  return sizes[i % std::size(sizes)];
}

} // namespace

TEST_CASE("a message carries header and payload together", "[transport][conformance]") {
  pair_of_peers p;
  p.connect();
  for (const std::size_t header_size : {0u, 1u, 100u, 8000u, 65536u})
    for (const std::size_t size : {0u, 1u, 63u, 4096u, 8192u, 30'000u, 1u << 20}) {
      CAPTURE(header_size, size);
      const std::size_t before = p.at_b.messages().size();
      const bytes header = filled_header(header_size, size + 7);
      const buffer payload = filled(size, header_size + 3);
      outcomes done;
      p.a->send(2, header, payload, done.as(0));
      REQUIRE(done.wait(1));
      CHECK_FALSE(done.of(0));
      REQUIRE(p.at_b.wait_messages(before + 1));
      const auto got = p.at_b.messages().back();
      CHECK(got.from == 1);
      CHECK(got.header == header);
      CHECK(equal(got.payload, payload));
    }
}

TEST_CASE("large payloads arrive whole", "[transport][conformance]") {
  limits bounds;
  bounds.max_payload = largest_payload();
  pair_of_peers p(bounds, bounds);
  p.connect();
  std::size_t count = 0;
  for (std::size_t size = std::size_t{4} << 20; size <= largest_payload(); size *= 4) {
    CAPTURE(size);
    const buffer payload = filled(size, size);
    outcomes done;
    p.a->send(2, numbered(9), payload, done.as(0));
    REQUIRE(done.wait(1));
    CHECK_FALSE(done.of(0));
    REQUIRE(p.at_b.wait_messages(++count));
    CHECK(equal(p.at_b.messages().back().payload, payload));
    p.at_b.forget_payloads();
  }
}

TEST_CASE("order is kept between two peers", "[transport][conformance]") {
  pair_of_peers p;
  p.connect();
  constexpr std::uint32_t n = 400;
  outcomes done;
  std::vector<buffer> sent;
  for (std::uint32_t i = 0; i < n; ++i) {
    sent.push_back(filled(mixed_size(i), i));
    p.a->send(2, numbered(i), sent.back(), done.as(i));
  }
  REQUIRE(done.wait(n));
  REQUIRE(p.at_b.wait_messages(n));
  const auto got = p.at_b.messages();
  for (std::uint32_t i = 0; i < n; ++i) {
    REQUIRE_FALSE(done.of(i));
    REQUIRE(number_of(got[i].header) == i);
    REQUIRE(equal(got[i].payload, sent[i]));
  }
  CHECK(done.calls() == n);
}

TEST_CASE("many transfers are in flight both ways", "[transport][conformance]") {
  pair_of_peers p;
  p.connect();
  constexpr std::uint32_t n = 1000;
  outcomes done_a, done_b;
  const buffer payload = filled(20'000, 5);
  auto flood = [&](endpoint& from, peer_id to, outcomes& done) {
    for (std::uint32_t i = 0; i < n; ++i)
      from.send(to, numbered(i), payload, done.as(i));
  };
  std::thread other([&] { flood(*p.b, 1, done_b); });
  flood(*p.a, 2, done_a);
  other.join();
  REQUIRE(done_a.wait(n));
  REQUIRE(done_b.wait(n));
  REQUIRE(p.at_a.wait_messages(n));
  REQUIRE(p.at_b.wait_messages(n));
  for (auto* r : {&p.at_a, &p.at_b}) {
    const auto got = r->messages();
    REQUIRE(got.size() == n);
    for (std::uint32_t i = 0; i < n; ++i)
      REQUIRE(number_of(got[i].header) == i);
  }
}

TEST_CASE("a callback may send, and callbacks never overlap", "[transport][conformance]") {
  pair_of_peers p;
  constexpr std::uint32_t rounds = 2000;
  auto answer = [&](endpoint& self, peer_id to) {
    return [&self, to](peer_id, std::span<const std::byte> header) {
      if (const std::uint32_t i = number_of(header); i < rounds)
        self.send(to, numbered(i + 1), {}, {});
    };
  };
  p.at_a.then = answer(*p.a, 2);
  p.at_b.then = answer(*p.b, 1);
  p.connect();
  p.a->send(2, numbered(0), {}, {});
  REQUIRE(p.at_b.wait_messages(rounds / 2 + 1));
  CHECK(number_of(p.at_b.messages().back().header) == rounds);
}

TEST_CASE("many endpoints talk to one another", "[transport][conformance]") {
  constexpr peer_id n = 5;
  auto w = make_world();
  std::vector<recorder> at(n + 1);
  std::vector<std::unique_ptr<endpoint>> nodes(n + 1);
  for (peer_id i = 1; i <= n; ++i) {
    nodes[i] = w->make(i);
    REQUIRE_FALSE(nodes[i]->listen(at[i]));
  }
  outcomes connected;
  for (peer_id i = 1; i <= n; ++i)
    for (peer_id j = 1; j <= n; ++j)
      if (i != j)
        nodes[i]->connect(j, nodes[j]->local_address(), connected.as(i * 100 + j));
  REQUIRE(connected.wait(n * (n - 1)));
  outcomes done;
  for (std::uint32_t k = 0; k < 20; ++k)
    for (peer_id i = 1; i <= n; ++i)
      for (peer_id j = 1; j <= n; ++j)
        if (i != j)
          nodes[i]->send(j, numbered(k), filled(mixed_size(k), k),
                         done.as(k * 10000 + i * 100 + j));
  REQUIRE(done.wait(20 * n * (n - 1)));
  for (peer_id j = 1; j <= n; ++j) {
    REQUIRE(at[j].wait_messages(20 * (n - 1)));
    std::map<peer_id, std::uint32_t> next;
    for (const auto& m : at[j].messages())
      REQUIRE(number_of(m.header) == next[m.from]++);
  }
  for (auto& node : nodes)
    if (node)
      node->close();
}

TEST_CASE("a refused payload is left out and the rest arrives", "[transport][conformance]") {
  pair_of_peers p;
  p.at_b.refuse_if = [](peer_id, auto header, std::size_t) { return number_of(header) % 3 == 1; };
  p.connect();
  outcomes done;
  constexpr std::uint32_t n = 60;
  for (std::uint32_t i = 0; i < n; ++i)
    p.a->send(2, numbered(i), filled(i % 2 ? 500 : 500'000, i), done.as(i));
  REQUIRE(done.wait(n));
  REQUIRE(p.at_b.wait_messages(n - n / 3));
  for (const auto& m : p.at_b.messages())
    CHECK(number_of(m.header) % 3 != 1);
  for (std::uint32_t i = 0; i < n; ++i)
    CHECK((!done.of(i) || (i % 3 == 1 && done.of(i) == errc::refused)));
}

TEST_CASE("limits are checked before anything is sent", "[transport][conformance]") {
  limits bounds;
  bounds.max_header = 100;
  bounds.max_payload = 1000;
  pair_of_peers p(bounds, bounds);
  p.connect();
  outcomes done;
  p.a->send(2, filled_header(101, 1), {}, done.as(0));
  p.a->send(2, filled_header(1, 1), filled(1001, 1), done.as(1));
  p.a->send(3, filled_header(1, 1), {}, done.as(2));
  p.a->send(2, filled_header(100, 1), filled(1000, 1), done.as(3));
  REQUIRE(done.wait(4));
  CHECK(done.of(0) == errc::header_too_large);
  CHECK(done.of(1) == errc::payload_too_large);
  CHECK(done.of(2) == errc::unknown_peer);
  CHECK_FALSE(done.of(3));
  REQUIRE(p.at_b.wait_messages(1));
  CHECK(p.at_b.messages().size() == 1);
}

TEST_CASE("a receiver with smaller limits is not overrun", "[transport][conformance]") {
  limits small;
  small.max_header = 100;
  small.max_payload = 1000;
  const bool large_header = GENERATE(true, false);
  const std::size_t payload = GENERATE(2000u, 500'000u);
  pair_of_peers p({}, small);
  p.connect();
  outcomes done;
  p.a->send(2, filled_header(10, 1), filled(1000, 1), done.as(0));
  p.a->send(2, filled_header(large_header ? 3000 : 10, 1), filled(large_header ? 0 : payload, 1),
            done.as(1));
  REQUIRE(done.wait(2)); // refused, or the sender loses a peer that it talks nonsense to
  REQUIRE(p.at_b.wait_messages(1));
  CHECK(p.at_b.placed() == std::vector<std::size_t>{1000});
  CHECK(p.at_b.messages().size() == 1);
}

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
  const buffer big = filled(std::size_t{32} << 20, 1);
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
