// What a limited endpoint sends over time, exact on virtual time.
#include "recorder.hpp"
#include "virtual_timer.hpp"

#include "transport/limited.hpp"
#include "transport/loopback.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace skippipe::transport;
using namespace skippipe::transport::testing;

namespace {

constexpr double rate = 1e6; // Bytes per second.
constexpr std::size_t size = 10'000;
constexpr double burst = 0.02 * rate; // What token_bucket lets through at once.

/// Node 1 may send `rate` in all, to nodes 2 and 3, which note when how much has come.
struct pair {
  struct arrival {
    std::chrono::nanoseconds when;
    std::uint32_t number;
    peer_id to;
    std::size_t bytes;
  };

  explicit pair(limits bounds = {}) {
    sender = make_limited_endpoint(hub.make_endpoint(1, bounds), bucket, time, bounds);
    REQUIRE_FALSE(sender->listen(at_sender));
    for (peer_id p : {2, 3}) {
      auto& one = watches[p - 2];
      one.then = [this, p](peer_id, std::span<const std::byte> header) {
        std::uint32_t number = 0;
        std::memcpy(&number, header.data(), sizeof number);
        arrivals.push_back({time->now(), number, p, header.size() + sizes.at(number)});
      };
      nodes.push_back(hub.make_endpoint(p));
      REQUIRE_FALSE(nodes.back()->listen(one));
      sender->connect(p, {});
    }
  }
  ~pair() {
    sender->close();
    for (auto& node : nodes)
      node->close();
  }
  request_id send(peer_id to, std::size_t bytes = size, completion done = {},
                  std::chrono::nanoseconds deadline = {}) {
    const auto number = static_cast<std::uint32_t>(sizes.size());
    bytes_t header(4);
    std::memcpy(header.data(), &number, 4);
    sizes.push_back(bytes - 4);
    return sender->send(to, std::move(header), buffer::allocate(bytes - 4), std::move(done),
                        deadline);
  }
  /// All that has arrived up to now.
  double arrived() const {
    double sum = 0;
    for (const auto& one : arrivals)
      sum += static_cast<double>(one.bytes);
    return sum;
  }
  void set_rate(double to) { bucket->set_rate(to, time->now()); }

  using bytes_t = std::vector<std::byte>;
  outcomes done; ///< Outlives the sender's last completions.
  std::shared_ptr<virtual_timer> time = std::make_shared<virtual_timer>();
  std::shared_ptr<token_bucket> bucket = std::make_shared<token_bucket>(rate);
  loopback_hub hub;
  recorder at_sender;
  recorder watches[2];
  std::vector<std::size_t> sizes;
  std::vector<arrival> arrivals;
  std::unique_ptr<endpoint> sender;
  std::vector<std::unique_ptr<endpoint>> nodes;
};

} // namespace

TEST_CASE("a limited endpoint sends at its rate", "[transport][limited]") {
  pair p;
  for (int i = 0; i < 500; ++i)
    p.send(i % 2 == 0 ? 2 : 3);
  for (const int t : {1, 2, 3, 4}) {
    p.time->run_until(std::chrono::seconds{t});
    CHECK(p.arrived() >= t * rate);
    CHECK(p.arrived() <= t * rate + burst + size);
  }
  p.time->run_until(6s);
  CHECK(p.arrivals.size() == 500);
  CHECK(p.bucket->taken() == p.arrived());
}

TEST_CASE("no window of time carries more than rate, burst and one message",
          "[transport][limited]") {
  pair p;
  std::mt19937 random{GENERATE(range(1u, 20u))};
  auto now = 0ns;
  std::size_t largest = 0;
  for (int i = 0; i < 300; ++i) {
    const std::size_t bytes = 4 + random() % (random() % 10 == 0 ? 100'000 : 5'000);
    largest = std::max(largest, bytes);
    p.send(2 + random() % 2, bytes, {}, 1h);
    p.time->run_until(now += std::chrono::microseconds{random() % 10'000});
  }
  p.time->run_until(now + 60s);
  REQUIRE(p.arrivals.size() == 300);
  for (std::size_t a = 0; a < p.arrivals.size(); ++a) {
    double sum = 0;
    for (std::size_t b = a; b < p.arrivals.size(); ++b) {
      sum += static_cast<double>(p.arrivals[b].bytes);
      const auto window =
          std::chrono::duration<double>(p.arrivals[b].when - p.arrivals[a].when).count();
      if (sum > rate * window + burst + static_cast<double>(largest) + 1)
        FAIL(sum << " bytes in " << window << " s");
    }
  }
  for (const peer_id to : {2, 3}) { // In order.
    std::int64_t last = -1;
    for (const auto& one : p.arrivals)
      if (one.to == to) {
        CHECK(one.number > last);
        last = one.number;
      }
  }
}

TEST_CASE("another rate counts within half a second", "[transport][limited]") {
  pair p;
  for (int i = 0; i < 100; ++i)
    p.send(2, size, {}, 1h);
  p.time->run_until(100ms);
  const auto before = p.arrived();
  p.set_rate(rate / 10);
  p.time->run_until(1100ms);
  CHECK(p.arrived() - before >= 0.1 * rate - size);
  CHECK(p.arrived() - before <= 0.1 * rate + 2 * size);
  p.set_rate(0); // No limit.
  p.time->run_until(1600ms);
  CHECK(p.arrivals.size() == 100);
  p.send(2, 1'000'000);
  CHECK(p.arrivals.size() == 101);
  p.set_rate(rate);
  p.send(2, 1'000'000); // Nothing is owed for what was free.
  CHECK(p.arrivals.size() == 102);
}

TEST_CASE("the limit is shared with whoever takes from the bucket", "[transport][limited]") {
  pair p;
  p.bucket->take(0.5 * rate, p.time->now());
  p.send(2);
  p.time->run_until(499ms);
  CHECK(p.arrivals.empty());
  p.time->run_until(501ms);
  CHECK(p.arrivals.size() == 1);
}

TEST_CASE("a message that waits for the limit can end early", "[transport][limited]") {
  pair p;
  auto& done = p.done;
  p.send(2, 1'000'000, done.as(0)); // A second's worth, sent at once.
  p.send(2, size, done.as(1), 500ms);
  const auto unwanted = p.send(2, size, done.as(2));
  p.send(3, size, done.as(3));
  p.send(2, size, done.as(4));
  REQUIRE(done.calls() == 1);
  p.time->run_until(499ms);
  CHECK(done.calls() == 1);
  p.time->run_until(500ms);
  REQUIRE(done.calls() == 2);
  CHECK(done.of(1) == errc::timed_out);
  p.sender->cancel(unwanted);
  REQUIRE(done.calls() == 3);
  CHECK(done.of(2) == errc::canceled);
  p.nodes[1]->close(); // Node 3.
  REQUIRE(done.calls() == 4);
  CHECK(done.of(3) == errc::peer_lost);
  CHECK(p.at_sender.lost().size() == 1);
  p.time->run_until(2s);
  REQUIRE(done.calls() == 5);
  CHECK_FALSE(done.of(4));
  CHECK(p.arrivals.size() == 2);
  p.send(2, 1'000'000, done.as(5));
  p.send(2, size, done.as(6));
  p.sender->close();
  REQUIRE(done.calls() == 7);
  CHECK(done.of(6) == errc::closed);
}

TEST_CASE("not more wait for the limit than may be pending", "[transport][limited]") {
  limits bounds;
  bounds.max_pending = 8;
  pair p{bounds};
  auto& done = p.done;
  p.send(2, 1'000'000);
  for (std::size_t i = 0; i < 9; ++i)
    p.send(2, size, done.as(i));
  REQUIRE(done.calls() == 1);
  CHECK(done.of(8) == errc::too_many_pending);
}
