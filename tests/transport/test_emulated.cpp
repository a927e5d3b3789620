// The emulated times themselves, exact on virtual time.
#include "recorder.hpp"
#include "virtual_timer.hpp"

#include "transport/emulated.hpp"
#include "transport/interface_model.hpp"
#include "transport/loopback.hpp"

#include <catch2/catch.hpp>
#include <rapidcheck.h>

#include <numeric>

using namespace skippipe::transport;
using namespace skippipe::transport::testing;

namespace {

/// Records when each message arrives, in virtual milliseconds.
struct stopwatch : recorder {
  explicit stopwatch(timer& t) : time(t) {
    then = [this](peer_id, std::span<const std::byte>) {
      arrived_ms.push_back(std::chrono::duration<double, std::milli>(time.now()).count());
    };
  }
  timer& time;
  std::vector<double> arrived_ms;
};

/// Node 1 sends to 2, 3 and 4: 10 ms and 1 MB/s (to 4: 0.25 MB/s) each.
struct star {
  explicit star(double interface_Bps, bool contention = true) {
    emulation_options options;
    options.self = 1;
    options.link = [](peer_id p) { return emulated_link{0.010, p == 4 ? 0.25e6 : 1e6}; };
    options.contention = contention;
    options.interface_Bps = interface_Bps;
    options.nominal_bytes = [](std::span<const std::byte>, std::size_t payload) {
      return static_cast<double>(payload);
    };
    center = make_emulated_endpoint(hub.make_endpoint(1), options, time);
    REQUIRE_FALSE(center->listen(at_center));
    for (peer_id p : {2, 3, 4}) {
      nodes.push_back(hub.make_endpoint(p));
      watches.push_back(std::make_unique<stopwatch>(*time));
      REQUIRE_FALSE(nodes.back()->listen(*watches.back()));
      center->connect(p, {});
    }
  }
  void send(peer_id to, std::size_t size, completion done = {},
            std::chrono::nanoseconds deadline = {}) {
    last = center->send(to, {}, buffer::allocate(size), std::move(done), deadline);
  }
  const std::vector<double>& arrivals(peer_id p) const { return watches[p - 2]->arrived_ms; }

  std::shared_ptr<virtual_timer> time = std::make_shared<virtual_timer>();
  loopback_hub hub;
  recorder at_center;
  std::vector<std::unique_ptr<stopwatch>> watches;
  std::unique_ptr<endpoint> center;
  std::vector<std::unique_ptr<endpoint>> nodes;
  request_id last = 0;
};

Approx ms(double value) { return Approx(value).margin(0.001); }

} // namespace

TEST_CASE("an emulated message takes latency plus size over bandwidth", "[transport][emulated]") {
  star s(0, GENERATE(true, false));
  s.send(2, 100'000);
  s.time->run_until(109ms);
  CHECK(s.arrivals(2).empty());
  s.time->run_until(1s);
  REQUIRE(s.arrivals(2).size() == 1);
  CHECK(s.arrivals(2)[0] == ms(110));
}

TEST_CASE("emulated sends to one peer queue, to different peers do not", "[transport][emulated]") {
  star s(0);
  s.send(2, 100'000);
  s.send(2, 100'000);
  s.send(3, 100'000);
  s.time->run_until(1s);
  REQUIRE(s.arrivals(2).size() == 2);
  CHECK(s.arrivals(2)[0] == ms(110));
  CHECK(s.arrivals(2)[1] == ms(210));
  REQUIRE(s.arrivals(3).size() == 1);
  CHECK(s.arrivals(3)[0] == ms(110));
}

TEST_CASE("concurrent emulated sends share the interface", "[transport][emulated]") {
  star s(1e6);
  s.send(2, 100'000);
  s.send(3, 50'000);
  s.time->run_until(1s);
  // Half each until 100 ms, when 3 has its 50 kB; then 2 alone for its other 50 kB.
  CHECK(s.arrivals(3).at(0) == ms(110));
  CHECK(s.arrivals(2).at(0) == ms(160));
}

TEST_CASE("a slow emulated link leaves its share to the others", "[transport][emulated]") {
  star s(1e6);
  s.send(4, 100'000); // 0.25 MB/s
  s.send(2, 150'000); // gets the other 0.75
  s.time->run_until(1s);
  CHECK(s.arrivals(2).at(0) == ms(210));
  CHECK(s.arrivals(4).at(0) == ms(410));
}

TEST_CASE("without contention every emulated message is on its own", "[transport][emulated]") {
  star s(1e6, false);
  s.send(2, 100'000);
  s.send(2, 100'000);
  s.send(2, 1'000); // faster, but may not overtake
  s.send(3, 100'000);
  s.time->run_until(1s);
  CHECK(s.arrivals(2)
        == std::vector<double>{s.arrivals(3).at(0), s.arrivals(3).at(0), s.arrivals(3).at(0)});
  CHECK(s.arrivals(3).at(0) == ms(110));
}

TEST_CASE("an emulated deadline and a cancel free the interface", "[transport][emulated]") {
  star s(0);
  outcomes done;
  s.send(2, 1'000'000, done.as(0), 200ms);
  s.send(2, 1'000'000, done.as(1));
  const request_id second = s.last;
  s.send(2, 100'000, done.as(2));
  s.time->run_until(199ms);
  CHECK(done.calls() == 0);
  s.time->run_until(200ms);
  REQUIRE(done.calls() == 1);
  CHECK(done.of(0) == errc::timed_out);
  s.time->run_until(250ms);
  s.center->cancel(second);
  REQUIRE(done.calls() == 2);
  CHECK(done.of(1) == errc::canceled);
  s.time->run_until(2s);
  REQUIRE(done.calls() == 3);
  CHECK_FALSE(done.of(2));
  REQUIRE(s.arrivals(2).size() == 1);
  CHECK(s.arrivals(2)[0] == ms(250 + 100 + 10));
}

TEST_CASE("a lost peer ends what is on its emulated way", "[transport][emulated]") {
  star s(0);
  outcomes done;
  s.send(2, 100'000, done.as(0));
  s.send(3, 100'000, done.as(1));
  s.nodes[0]->close();
  REQUIRE(done.calls() == 1);
  CHECK(done.of(0) == errc::peer_lost);
  CHECK(s.at_center.lost().size() == 1);
  s.time->run_until(1s);
  CHECK_FALSE(done.of(1));
}

TEST_CASE("the interface is shared fairly and never idle", "[transport][emulated]") {
  rc::check("all bytes leave, at no more than capacity, none faster than its link", [] {
    const auto n = *rc::gen::inRange<std::size_t>(1, 8);
    const double capacity = *rc::gen::inRange(1, 1000);
    std::vector<double> size(n), link(n), start(n);
    for (std::size_t i = 0; i < n; ++i) {
      size[i] = *rc::gen::inRange(1, 100'000);
      link[i] = *rc::gen::inRange(1, 1000);
      start[i] = *rc::gen::inRange(0, 100);
    }
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](auto a, auto b) { return start[a] < start[b]; });
    interface_model model(capacity);
    std::vector<double> end(n, -1);
    const auto run_to = [&](double limit) {
      for (double next = model.next_end(); next <= limit; next = model.next_end())
        for (const auto flow : model.finish(next))
          end[flow] = next;
    };
    for (const std::size_t i : order) {
      run_to(start[i]);
      model.start(i, size[i], link[i], start[i]);
    }
    run_to(1e12);
    double total = 0, first = 1e300, last = 0;
    for (std::size_t i = 0; i < n; ++i) {
      RC_ASSERT(end[i] >= 0);
      const double fastest = size[i] / std::min(link[i], capacity);
      RC_ASSERT(end[i] - start[i] >= fastest * (1 - 1e-9));
      // Never worse than an equal share among all from its start to its end.
      const double fair = size[i] / std::min(link[i], capacity / static_cast<double>(n));
      RC_ASSERT(end[i] - start[i] <= fair * (1 + 1e-9));
      total += size[i];
      first = std::min(first, start[i]);
      last = std::max(last, end[i]);
    }
    RC_ASSERT(total <= capacity * (last - first) * (1 + 1e-9));
  });
}

TEST_CASE("the real timer keeps time and order", "[transport][emulated]") {
  const auto time = make_real_timer(0.5);
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<int> order;
  std::chrono::nanoseconds last{};
  const auto note = [&](int n) {
    return [&, n] {
      const std::lock_guard guard(mutex);
      order.push_back(n);
      last = time->now();
      changed.notify_all();
    };
  };
  const auto start = std::chrono::steady_clock::now();
  const auto now = time->now();
  time->at(now + 40ms, note(3));
  time->at(now + 20ms, note(1));
  time->at(now + 20ms, note(2));
  std::unique_lock guard(mutex);
  REQUIRE(changed.wait_for(guard, patience, [&] { return order.size() == 3; }));
  CHECK(order == std::vector<int>{1, 2, 3});
  CHECK(last - now >= 39ms); // emulated: half of that is real
  CHECK(std::chrono::steady_clock::now() - start >= 19ms);
}
