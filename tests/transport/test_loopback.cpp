// What only loopback promises: no copy, delivery within `send`, no nesting.
#include "recorder.hpp"

#include "transport/loopback.hpp"

#include <catch2/catch.hpp>

#include <thread>

using namespace skippipe::transport;
using namespace skippipe::transport::testing;

namespace {

struct quiet : handler {
  buffer place(peer_id, std::span<const std::byte>, std::size_t, const buffer* offered) override {
    return offered != nullptr ? *offered : buffer{};
  }
  void on_message(peer_id, std::span<const std::byte>, buffer) override {}
  void on_peer_lost(peer_id, std::error_code) override {}
};

} // namespace

TEST_CASE("loopback hands the sender's bytes over without a copy", "[transport][loopback]") {
  loopback_hub hub;
  recorder at_a, at_b;
  at_b.take_offered = GENERATE(true, false);
  auto a = hub.make_endpoint(1), b = hub.make_endpoint(2);
  REQUIRE_FALSE(a->listen(at_a));
  REQUIRE_FALSE(b->listen(at_b));
  a->connect(2, b->local_address());
  const buffer payload = filled(10'000, 1);
  a->send(2, {}, payload, {});
  REQUIRE(at_b.messages().size() == 1); // delivered before `send` returned
  const buffer got = at_b.messages()[0].payload;
  CHECK((got.data() == payload.data()) == at_b.take_offered);
  CHECK(equal(got, payload));
}

TEST_CASE("loopback callbacks never nest, however deep the exchange", "[transport][loopback]") {
  struct bouncer : quiet {
    endpoint* self = nullptr;
    peer_id other = 0;
    int depth = 0, deepest = 0, left = 100'000;
    void on_message(peer_id, std::span<const std::byte>, buffer) override {
      deepest = std::max(deepest, ++depth);
      if (--left > 0)
        self->send(other, {}, {}, {});
      --depth;
    }
  };
  loopback_hub hub;
  bouncer at_a, at_b;
  auto a = hub.make_endpoint(1), b = hub.make_endpoint(2);
  at_a.self = a.get();
  at_a.other = 2;
  at_b.self = b.get();
  at_b.other = 1;
  REQUIRE_FALSE(a->listen(at_a));
  REQUIRE_FALSE(b->listen(at_b));
  a->connect(2, {});
  a->send(2, {}, {}, {});
  CHECK(at_b.left == 0);
  CHECK(at_a.deepest == 1);
  CHECK(at_b.deepest == 1);
}

TEST_CASE("loopback takes sends from many threads, in order per thread", "[transport][loopback]") {
  loopback_hub hub;
  recorder at_b;
  quiet at_a;
  limits bounds;
  bounds.max_pending = 100'000;
  auto a = hub.make_endpoint(1, bounds), b = hub.make_endpoint(2);
  REQUIRE_FALSE(a->listen(at_a));
  REQUIRE_FALSE(b->listen(at_b));
  a->connect(2, {});
  constexpr std::uint16_t threads = 4, each = 2000;
  std::vector<std::thread> running;
  for (std::uint16_t t = 0; t < threads; ++t)
    running.emplace_back([&, t] {
      for (std::uint16_t i = 0; i < each; ++i) {
        bytes header(4);
        std::memcpy(header.data(), &t, 2);
        std::memcpy(header.data() + 2, &i, 2);
        a->send(2, header, {}, {});
      }
    });
  for (auto& t : running)
    t.join();
  REQUIRE(at_b.wait_messages(threads * each));
  CHECK_FALSE(at_b.overlapped);
  std::uint16_t next[threads] = {};
  for (const auto& m : at_b.messages()) {
    std::uint16_t t = 0, i = 0;
    std::memcpy(&t, m.header.data(), 2);
    std::memcpy(&i, m.header.data() + 2, 2);
    REQUIRE(i == next[t]++);
  }
}

TEST_CASE("one hub has one endpoint per name at a time", "[transport][loopback]") {
  loopback_hub hub;
  quiet h;
  auto first = hub.make_endpoint(1), second = hub.make_endpoint(1);
  REQUIRE_FALSE(first->listen(h));
  CHECK(second->listen(h) == errc::setup_failed);
  first->close();
  CHECK_FALSE(hub.make_endpoint(1)->listen(h));
}
