// Measuring links: who with whom and when, over an emulated network, and from a session's own transfers.
#include "runtime/daemon/link_meter.hpp"
#include "runtime/daemon/link_probe.hpp"
#include "runtime/daemon/link_survey.hpp"
#include "runtime/daemon/profile_book.hpp"
#include "transport/emulated.hpp"
#include "transport/loopback.hpp"

#include <catch2/catch.hpp>

#include <map>

using namespace skippipe;
using namespace skippipe::runtime::daemon;

namespace {

constexpr auto all = [](node_pair) { return true; };
constexpr std::int64_t ms = 1'000'000;

/// A node's endpoint whose sends take as long as on this link.
std::unique_ptr<transport::endpoint> slow(std::unique_ptr<transport::endpoint> inner,
                                          transport::peer_id self, double latency_s, double rate) {
  transport::emulation_options options;
  options.self = self;
  options.link = [=](transport::peer_id) { return transport::emulated_link{latency_s, rate}; };
  return transport::make_emulated_endpoint(std::move(inner), std::move(options),
                                           transport::make_real_timer());
}

/// Two ends of one emulated link; they take a MiB.
struct slow_pair {
  transport::loopback_hub hub;
  link_probe a, b;

  slow_pair(double latency_s, double rate)
      : a{slow(hub.make_endpoint(1), 1, latency_s, rate), 1 << 20}, b{slow(hub.make_endpoint(2), 2,
                                                                           latency_s, rate),
                                                                      1 << 20} {
    a.connect(2, b.local_address());
    b.connect(1, a.local_address());
  }
};

/// A survey of nodes that answer at once, on a clock of its own.
struct surveyed_nodes {
  double now = 0;
  std::vector<std::pair<node_id, probe_pair>> orders; ///< Not answered.
  std::vector<probe_result> found;
  std::vector<std::size_t> begun;
  int done = 0;
  std::unique_ptr<link_survey> survey;

  explicit surveyed_nodes(std::vector<std::vector<node_pair>> rounds) {
    link_survey::options options;
    options.session = 7;
    options.each = {1000, 0.5};
    options.seconds = 10;
    options.now_s = [this] { return now; };
    options.order = [this](node_id to, const probe_pair& order) { orders.emplace_back(to, order); };
    options.found = [this](const probe_result& x) { found.push_back(x); };
    options.began = [this](std::size_t round) { begun.push_back(round); };
    options.done = [this] { ++done; };
    survey = std::make_unique<link_survey>(std::move(options), std::move(rounds));
    survey->start();
  }

  void open_all() {
    for (const auto node : survey->nodes())
      survey->opened({7, node, ""});
  }
  void answer_one() {
    const auto [from, order] = orders.front();
    orders.erase(orders.begin());
    survey->take({7, from, order.peer, 5, 6, order.most_bytes, ""});
  }
};

} // namespace

TEST_CASE("rounds hold each pair once and each node at most once a round", "[profile]") {
  for (std::size_t nodes = 0; nodes <= 33; ++nodes) {
    INFO(nodes << " nodes");
    const auto rounds = probe_rounds(nodes, 1000, all);
    CHECK(rounds.size() == (nodes < 2 ? 0 : nodes - 1 + nodes % 2));
    std::map<node_pair, int> seen;
    for (const auto& round : rounds) {
      std::map<node_id, int> busy;
      for (const auto& [a, b] : round) {
        CHECK(a < b);
        CHECK(b < nodes);
        ++seen[{a, b}];
        CHECK(++busy[a] == 1);
        CHECK(++busy[b] == 1);
      }
    }
    CHECK(seen.size() == (nodes < 2 ? 0 : nodes * (nodes - 1) / 2));
    for (const auto& [pair, times] : seen)
      CHECK(times == 1);
  }
  // Of a large cluster so many partners for each that the rounds allow, nobody left out.
  std::map<node_id, int> partners;
  for (const auto& round : probe_rounds(200, 10, all))
    for (const auto& [a, b] : round) {
      ++partners[a];
      ++partners[b];
    }
  CHECK(partners.size() == 200);
  for (const auto& [node, count] : partners)
    CHECK(count == 10);
  // What nobody wants takes no round.
  CHECK(probe_rounds(8, 100, [](node_pair x) { return x == node_pair{2, 5}; }).size() == 1);
}

TEST_CASE("a survey goes pair by pair, one direction after the other", "[profile]") {
  surveyed_nodes now{probe_rounds(4, 100, all)};
  CHECK(now.orders.empty()); // Nobody before all are open.
  now.open_all();
  std::size_t most = 0;
  while (!now.orders.empty()) {
    std::map<node_id, int> busy;
    for (const auto& [from, order] : now.orders) {
      CHECK(++busy[from] == 1);
      CHECK(++busy[order.peer] == 1);
    }
    most = std::max(most, now.orders.size());
    now.answer_one();
  }
  CHECK(most == 2);
  CHECK(now.done == 1);
  CHECK(now.found.size() == 12);
  CHECK(now.survey->bytes() == 12'000);
  CHECK(now.begun == std::vector<std::size_t>{0, 1, 2, 3});
  now.survey->take({7, 0, 1, 5, 6, 100, ""}); // Nobody asked.
  CHECK(now.survey->bytes() == 12'000);
}

TEST_CASE("a survey ends in time whoever does not answer", "[profile]") {
  SECTION("who does not open is left out") {
    surveyed_nodes now{probe_rounds(4, 100, all)};
    for (const node_id node : {0, 1, 2})
      now.survey->opened({7, node, ""});
    CHECK(now.orders.empty());
    now.survey->give_up(0);
    while (!now.orders.empty()) {
      CHECK(now.orders.front().second.peer != 3);
      now.answer_one();
    }
    CHECK(now.done == 1);
    CHECK(now.found.size() == 6);
  }
  SECTION("who does not answer is given up with its round") {
    surveyed_nodes now{probe_rounds(4, 100, all)};
    now.open_all();
    const auto silent = now.orders.front().first;
    now.orders.erase(now.orders.begin());
    while (!now.orders.empty())
      now.answer_one();
    CHECK(now.done == 0);
    now.survey->give_up(0); // Of another round.
    CHECK(now.done == 0);
    now.survey->give_up(1);
    while (!now.orders.empty()) {
      CHECK(now.orders.front().first != silent);
      CHECK(now.orders.front().second.peer != silent);
      now.answer_one();
    }
    CHECK(now.done == 1);
  }
  SECTION("who is lost keeps nobody waiting") {
    surveyed_nodes now{probe_rounds(3, 100, all)};
    now.survey->opened({7, 0, ""});
    now.survey->opened({7, 1, ""});
    now.survey->lost(2);
    REQUIRE(now.orders.size() == 1);
    now.answer_one();
    now.survey->lost(1);
    CHECK(now.done == 1);
  }
  SECTION("no round begins after the time is over") {
    surveyed_nodes now{probe_rounds(4, 100, all)};
    now.open_all();
    now.now = 11;
    while (!now.orders.empty())
      now.answer_one();
    CHECK(now.found.size() == 4);
    CHECK(now.done == 1);
  }
}

TEST_CASE("a probe finds latency and bandwidth within its bounds", "[profile]") {
  // Slow enough for a busy machine's delays to count for little.
  slow_pair pair{0.1, 1e6};
  const auto seen = pair.a.measure(2, {320 << 10, 2});
  CHECK(seen.error == "");
  CHECK(seen.figures.latency_s > 0.099);
  CHECK(seen.figures.latency_s < 0.150);
  CHECK(seen.figures.bandwidth_Bps < 1.25 * 1e6);
  CHECK(seen.figures.bandwidth_Bps > 0.7 * 1e6);
  CHECK(seen.bytes == 320 << 10);
}

TEST_CASE("a slow link is not asked for more than it carries in the time", "[profile]") {
  slow_pair pair{0.001, 500e3};
  const auto seen = pair.a.measure(2, {4 << 20, 0.4});
  CHECK(seen.error == "");
  CHECK(seen.bytes == 64 * 1024);
  CHECK(seen.figures.bandwidth_Bps < 1.25 * 500e3);
  CHECK(seen.figures.bandwidth_Bps > 0.5 * 500e3);
}

TEST_CASE("who cannot be reached, or refuses, is measured as nothing", "[profile]") {
  slow_pair pair{0.001, 1e9};
  const auto nobody = pair.a.measure(9, {1 << 20, 0.5}, std::chrono::milliseconds{200});
  CHECK(nobody.error == "no answer");
  CHECK(nobody.figures.bandwidth_Bps == 0);
  // More than the other side takes: it protects itself (R8).
  const auto refused = pair.a.measure(2, {64 << 20, 5}, std::chrono::milliseconds{500});
  CHECK(refused.error == "payloads do not get through");
}

TEST_CASE("transfers tell of the links that they came over", "[profile]") {
  link_meter meter;
  // The sender's clock is 5 s ahead; 20 ms on the way, 1 MB in 50 ms. Its header comes with the last byte.
  const std::int64_t ahead = 5000 * ms;
  meter.announced(3, ahead + 100 * ms, 125 * ms);
  meter.began(3, ahead + 100 * ms, 1'000'000);
  meter.ended(3, ahead + 100 * ms, 175 * ms, 1'000'000);
  meter.ended(3, ahead + 200 * ms, 220 * ms, 0);
  meter.ended(3, ahead + 300 * ms, 390 * ms, 0);
  auto seen = meter.take();
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].peer == 3);
  CHECK(seen[0].delay_s == Approx(-4.980));
  CHECK(seen[0].bandwidth_Bps == Approx(20e6));
  CHECK(meter.take().empty()); // Nothing since.

  // Small ones, those that nothing went ahead of, and two at a time say nothing of the bandwidth.
  meter.announced(2, 0, 1 * ms);
  meter.began(2, 0, 1000);
  meter.ended(2, 0, 2 * ms, 1000);
  meter.announced(3, 0, 1 * ms);
  meter.began(3, 1, 1'000'000);
  meter.ended(3, 1, 2 * ms, 1'000'000);
  meter.began(4, 0, 1'000'000);
  meter.announced(4, 1, 2 * ms);
  meter.began(4, 1, 1'000'000);
  meter.ended(4, 0, 101 * ms, 1'000'000);
  meter.ended(4, 1, 102 * ms, 1'000'000);
  seen = meter.take();
  REQUIRE(seen.size() == 3);
  for (const auto& one : seen)
    CHECK(one.bandwidth_Bps == 0);
  // Messages that never end take no memory for ever.
  for (std::int64_t i = 0; i < 100'000; ++i)
    meter.began(5, i, 1 << 20);
  meter.announced(5, 0, 1);
  CHECK(meter.take().size() == 1);

  // Now and then one goes ahead, to each peer, of large payloads only.
  int ahead_of = 0;
  for (std::int64_t t = 1; t <= 1000; ++t)
    ahead_of += meter.announces(6, t * ms, 1 << 20);
  CHECK(ahead_of == 20);
  CHECK(meter.announces(7, 1000 * ms, 1 << 20));
  CHECK_FALSE(meter.announces(8, 1000 * ms, 1000));
}

TEST_CASE("the book knows whose figures are still good", "[profile]") {
  profile_book book;
  const std::map<std::uint64_t, std::string> names{{1, "a"}, {2, "b"}, {3, "c"}};
  book.note_link(1, 2, {0.01, 1e6}, 1000 * ms);
  book.note_link(1, 3, {0.02, 5e5}, 1000 * ms);
  book.note_link(1, 9, {0.02, 1}, 1000 * ms); // Not there any more.
  book.note_link(1, 2, {0, 2e6}, 3000 * ms);
  CHECK(book.link(1, 2)->latency_s == 0.01);
  CHECK(book.link(1, 2)->bandwidth_Bps == 2e6);
  CHECK(book.is_fresh(1, 2, 12'000 * ms, 10));
  CHECK_FALSE(book.is_fresh(1, 3, 12'000 * ms, 10));
  CHECK_FALSE(book.is_fresh(2, 1, 3000 * ms, 10));
  book.note_tasks(1, 2, {1, 2, 3});
  book.note_clock(1, -500'000, 1'000'000);
  const auto shown = book.of(1, names);
  CHECK(shown["links"] == 2);
  CHECK(shown["slowest"]["peer"] == "c");
  CHECK(shown["backward_s"] == 3);
  CHECK(shown["clock_offset_s"] == Approx(-0.0005));
  book.forget(1);
  CHECK(book.of(1, names) == nlohmann::json{{"links", 0}});
}
