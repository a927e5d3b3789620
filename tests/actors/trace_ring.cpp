#include "actors/trace/ring.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <set>
#include <thread>

using namespace skippipe;
using namespace skippipe::trace;

namespace {

// Every field depends on (producer, number), so that a torn event cannot go unnoticed.
event numbered(std::uint32_t producer, std::uint64_t number) {
  event e;
  e.time_ns = static_cast<std::int64_t>(number * 3 + producer);
  e.transfer = number * 7 + producer;
  e.bytes = number * 11 + producer;
  e.iteration = number;
  e.node = producer;
  e.peer = static_cast<node_id>(number);
  e.stage = static_cast<stage_id>(number + 1);
  e.microbatch = static_cast<microbatch_id>(number + 2);
  e.attempt = static_cast<attempt_no>(number + 3);
  e.step = static_cast<std::uint32_t>(number + 4);
  e.plan = static_cast<std::uint32_t>(number + 5);
  e.kind = static_cast<event_kind>(number % event_kinds);
  return e;
}

bool whole(const event& e) { return e == numbered(e.node, e.iteration); }

} // namespace

TEST_CASE("a ring gives events back in the order of recording", "[trace][ring]") {
  trace_ring ring(8);
  std::vector<event> out;
  for (std::uint64_t round = 0; round < 5; ++round) {
    for (std::uint64_t i = 0; i < 8; ++i)
      ring.record(numbered(0, round * 8 + i));
    ring.drain(out);
  }
  REQUIRE(out.size() == 40);
  for (std::uint64_t i = 0; i < 40; ++i)
    CHECK(out[i] == numbered(0, i));
  CHECK(ring.overwritten() == 0);
}

TEST_CASE("a full ring keeps the newest events and counts the others", "[trace][ring]") {
  trace_ring ring(8);
  for (std::uint64_t i = 0; i < 21; ++i)
    ring.record(numbered(0, i));
  std::vector<event> out;
  ring.drain(out);
  REQUIRE(out.size() == 8);
  CHECK(out.front() == numbered(0, 13));
  CHECK(out.back() == numbered(0, 20));
  CHECK(ring.overwritten() == 13);
  ring.drain(out);
  CHECK(out.size() == 8);
}

TEST_CASE("capacity is rounded up to a power of two", "[trace][ring]") {
  CHECK(trace_ring(0).capacity() == 2);
  CHECK(trace_ring(5).capacity() == 8);
  CHECK(trace_ring(16).capacity() == 16);
}

TEST_CASE("threads record while another drains: nothing torn, nothing uncounted",
          "[trace][ring][threads]") {
  constexpr std::uint32_t producers = 4;
  // Too large to lap, sometimes lapped, lapped all the time.
  const auto [capacity, each] =
      GENERATE(table<std::size_t, std::uint64_t>({{1 << 18, 50'000}, {16, 50'000}, {2, 400'000}}));
  trace_ring ring(capacity);
  std::atomic<std::uint32_t> running{producers};
  std::vector<std::thread> threads;
  for (std::uint32_t p = 0; p < producers; ++p)
    threads.emplace_back([&, p] {
      for (std::uint64_t i = 0; i < each; ++i)
        ring.record(numbered(p, i));
      --running;
    });
  std::vector<event> out;
  while (running > 0)
    ring.drain(out);
  for (auto& t : threads)
    t.join();
  // Closing a ticket that its producer gave up takes a second look.
  for (std::size_t i = 0;
       i < 2 * capacity + 2 && out.size() + ring.overwritten() < producers * each; ++i)
    ring.drain(out);

  CHECK(out.size() + ring.overwritten() == producers * each);
  if (capacity > producers * each)
    CHECK(ring.overwritten() == 0);
  std::vector<std::uint64_t> next(producers, 0);
  bool all_whole = true;
  bool in_order = true;
  for (const auto& e : out) {
    all_whole &= e.node < producers && whole(e);
    if (!all_whole)
      break;
    in_order &= e.iteration >= next[e.node];
    next[e.node] = e.iteration + 1;
  }
  CHECK(all_whole);
  CHECK(in_order);
}

TEST_CASE("transfer ids differ by sender, incarnation and counter", "[trace]") {
  std::set<std::uint64_t> ids;
  for (node_id sender = 0; sender < 20; ++sender)
    for (incarnation_no life = 0; life < 5; ++life)
      for (std::uint64_t counter = 0; counter < 100; ++counter)
        ids.insert(make_transfer_id(sender, life, counter));
  CHECK(ids.size() == 20 * 5 * 100);
  CHECK(ids.count(0) == 0);
}

TEST_CASE("every kind and reason has a name", "[trace]") {
  std::set<std::string_view> names;
  for (std::uint8_t i = 0; i < event_kinds; ++i)
    names.insert(to_string(static_cast<event_kind>(i)));
  CHECK(names.size() == event_kinds);
  CHECK(names.count("unknown") + names.count("") == 0);
  CHECK(to_string(event_kind::peer_lost) == "peer_lost");
  CHECK(to_string(reason::cancelled) == "cancelled");
  CHECK(to_string(static_cast<event_kind>(200)) == "unknown");
}
