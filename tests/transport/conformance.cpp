// The contract of transport.hpp, tested the same way on every backend.
#include "pair.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
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
