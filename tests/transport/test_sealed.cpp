// What only sealed messages have: secrecy, authenticity, and that nothing counts twice.
#include "pair.hpp"

#include "transport/loopback.hpp"
#include "transport/replay_window.hpp"
#include "transport/seal.hpp"
#include "transport/sealed.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <set>

using namespace skippipe::transport;
using namespace skippipe::transport::testing;

namespace {

/// Sees and repeats what a sealed endpoint gives to the wire.
class wire_tap final : public endpoint {
public:
  explicit wire_tap(std::unique_ptr<endpoint> inner) : inner_(std::move(inner)) {}
  std::error_code listen(handler& h) override { return inner_->listen(h); }
  address local_address() const override { return inner_->local_address(); }
  void connect(peer_id p, const address& a, completion d) override { inner_->connect(p, a, d); }
  void disconnect(peer_id p) override { inner_->disconnect(p); }
  request_id send(peer_id to, bytes header, buffer payload, completion done,
                  std::chrono::nanoseconds deadline) override {
    headers.push_back(header);
    payloads.push_back(payload);
    if (swallow)
      return inner_->send(999, {}, {}, std::move(done), deadline);
    return inner_->send(to, std::move(header), std::move(payload), std::move(done), deadline);
  }
  void cancel(request_id r) override { inner_->cancel(r); }
  bool post(std::function<void()> t) override { return inner_->post(std::move(t)); }
  void close() override { inner_->close(); }

  /// Puts message `i`, perhaps changed, on the wire again.
  void inject(std::size_t i, const std::function<void(bytes&, buffer&)>& change = {}) {
    bytes header = headers.at(i);
    buffer payload = buffer::allocate(payloads.at(i).size());
    std::copy(payloads[i].bytes().begin(), payloads[i].bytes().end(), payload.bytes().begin());
    if (change)
      change(header, payload);
    inner_->send(2, header, payload, {}, {});
  }

  std::vector<bytes> headers;
  std::vector<buffer> payloads;
  bool swallow = false;

private:
  std::unique_ptr<endpoint> inner_;
};

/// Node 1 with a tapped wire and node 2; secrets and lives as told.
struct tapped_pair {
  struct node {
    std::uint64_t incarnation = 1;
    std::byte secret{1};
  };
  tapped_pair() : tapped_pair(node{}, node{}) {}
  tapped_pair(node one, node two) {
    auto wire = std::make_unique<wire_tap>(hub.make_endpoint(1, limits_below_seal({})));
    tap = wire.get();
    a = make(1, std::move(wire), one);
    b = make(2, hub.make_endpoint(2, limits_below_seal({})), two);
    REQUIRE_FALSE(a->listen(at_a));
    REQUIRE_FALSE(b->listen(at_b));
    a->connect(2, b->local_address());
    b->connect(1, a->local_address());
  }
  ~tapped_pair() {
    a->close();
    b->close();
  }
  std::unique_ptr<endpoint> make(peer_id self, std::unique_ptr<endpoint> below, node how) {
    sealed_options options;
    options.self = self;
    options.incarnation = how.incarnation;
    options.secret.assign(32, how.secret);
    options.log = [this](peer_id, std::string_view line) { log.emplace_back(line); };
    return make_sealed_endpoint(std::move(below), options);
  }
  void send(std::uint32_t number, std::size_t size = 1000) {
    a->send(2, numbered(number), filled(size, number), {});
  }
  bool logged(const std::string& part) const {
    return std::any_of(log.begin(), log.end(),
                       [&](const std::string& line) { return line.find(part) != line.npos; });
  }
  loopback_hub hub;
  std::vector<std::string> log;
  recorder at_a, at_b;
  wire_tap* tap = nullptr;
  std::unique_ptr<endpoint> a, b;
};

bool contains(std::span<const std::byte> all, std::span<const std::byte> part) {
  return std::search(all.begin(), all.end(), part.begin(), part.end()) != all.end();
}

} // namespace

TEST_CASE("payloads are secret on the wire, and equal ones differ there", "[sealed]") {
  tapped_pair p;
  p.send(1, 100'000);
  p.send(1, 100'000);
  REQUIRE(p.at_b.messages().size() == 2);
  const buffer clear = filled(100'000, 1);
  for (const auto& m : p.at_b.messages())
    CHECK(equal(m.payload, clear));
  for (const auto& hidden : p.tap->payloads) {
    REQUIRE(hidden.size() == clear.size());
    CHECK_FALSE(contains(hidden.bytes(), clear.bytes().subspan(1000, 16)));
  }
  CHECK_FALSE(equal(p.tap->payloads[0], p.tap->payloads[1]));
  CHECK(contains(p.tap->headers[0], numbered(1))); // in clear, by design
}

TEST_CASE("a repeated message is dropped, and the peer stays", "[sealed][replay]") {
  tapped_pair p;
  for (std::uint32_t i = 0; i < 5; ++i)
    p.send(i, i % 2 ? 0 : 5000);
  for (std::size_t i = 0; i < 5; ++i)
    p.tap->inject(i);
  p.send(5);
  CHECK(p.at_b.messages().size() == 6);
  CHECK(p.at_b.lost().empty());
  CHECK(p.logged("repeated"));
  CHECK(p.log.size() == 5);
}

TEST_CASE("a message that comes late is taken once", "[sealed][replay]") {
  tapped_pair p;
  p.tap->swallow = true;
  p.send(1);
  p.tap->swallow = false;
  p.send(2);
  p.tap->inject(0);
  p.tap->inject(0);
  REQUIRE(p.at_b.messages().size() == 2);
  CHECK(number_of(p.at_b.messages()[1].header) == 1);
}

TEST_CASE("any changed bit of a message is noticed", "[sealed][tamper]") {
  const bool with_payload = GENERATE(true, false);
  const std::size_t size = with_payload ? 64 : 0;
  std::size_t header_size = 0;
  {
    tapped_pair p;
    p.send(1, size);
    header_size = p.tap->headers[0].size();
  }
  for (std::size_t at = 0; at < header_size + size; ++at) {
    tapped_pair p;
    p.tap->swallow = true;
    p.send(1, size);
    p.tap->inject(0, [&](bytes& header, buffer& payload) {
      auto& byte = at < header.size() ? header[at] : payload.bytes()[at - header.size()];
      byte ^= std::byte{0x10};
    });
    INFO(at);
    CHECK(p.at_b.messages().empty());
    CHECK(p.log.size() == 1);
    // Bytes 16 to 23 name another life of the receiver; that is dropped without a word to anyone.
    CHECK(p.at_b.lost().size() == (at >= 16 && at < 24 ? 0 : 1));
  }
}

TEST_CASE("a header does not go with another payload", "[sealed][tamper]") {
  tapped_pair p;
  p.tap->swallow = true;
  p.send(1);
  p.send(2);
  SECTION("exchanged") {
    p.tap->inject(0, [&](bytes&, buffer& payload) { payload = p.tap->payloads[1]; });
  }
  SECTION("cut") {
    p.tap->inject(0, [&](bytes&, buffer& payload) { payload = filled(999, 1); });
    CHECK(p.at_b.placed().empty()); // noticed before memory is asked for
  }
  SECTION("left out") {
    p.tap->inject(0, [&](bytes&, buffer& payload) { payload = {}; });
  }
  SECTION("no prefix") {
    p.tap->inject(0, [&](bytes& header, buffer&) { header.resize(63); });
  }
  CHECK(p.at_b.messages().empty());
  REQUIRE(p.at_b.lost().size() == 1);
  CHECK(p.at_b.lost()[0].first == 1);
}

TEST_CASE("large and small messages keep their order, and a changed large one is noticed",
          "[sealed][tamper]") {
  tapped_pair p;
  constexpr std::uint32_t n = 40;
  for (std::uint32_t i = 0; i < n; ++i)
    p.send(i, i % 3 == 0 ? 3'000'000 : i % 3 == 1 ? 1000 : 0);
  REQUIRE(p.at_b.wait_messages(n));
  const auto got = p.at_b.messages();
  for (std::uint32_t i = 0; i < n; ++i) {
    REQUIRE(number_of(got[i].header) == i);
    REQUIRE(equal(got[i].payload, filled(got[i].payload.size(), i)));
  }
  p.tap->swallow = true;
  p.send(n, 3'000'000);
  p.tap->swallow = false;
  p.tap->inject(n, [](bytes&, buffer& payload) { payload.bytes()[2'000'000] ^= std::byte{1}; });
  p.send(n + 1); // behind it; the connection it came over is gone
  REQUIRE(p.at_b.wait_lost(1));
  CHECK(p.at_b.lost()[0].second == errc::corrupted);
  CHECK(p.at_b.messages().size() == n);
}

TEST_CASE("another job's secret opens nothing", "[sealed][key]") {
  tapped_pair p({1, std::byte{1}}, {1, std::byte{2}});
  p.send(1);
  p.send(2, 0);
  CHECK(p.at_b.messages().empty());
  CHECK(p.at_b.placed().empty());
  REQUIRE(p.at_b.lost().size() == 1);
  CHECK(p.at_b.lost()[0].second == errc::not_authenticated);
  CHECK(p.logged("not sealed with the job's secret"));
}

TEST_CASE("a lost peer can come back", "[sealed][key]") {
  tapped_pair p;
  p.tap->swallow = true;
  p.send(1);
  p.tap->inject(0, [](bytes&, buffer& payload) { payload.bytes()[0] ^= std::byte{1}; });
  p.tap->swallow = false;
  CHECK(p.at_b.lost().size() == 1);
  REQUIRE(p.at_a.wait_lost(2));
  p.a->connect(2, p.b->local_address());
  p.b->connect(1, p.a->local_address());
  p.send(2);
  REQUIRE(p.at_b.messages().size() == 1);
  CHECK(number_of(p.at_b.messages()[0].header) == 2);
  const auto first = decode_seal(p.tap->headers[0]), second = decode_seal(p.tap->headers[1]);
  CHECK(second->epoch == first->epoch);
  CHECK(second->counter == first->counter + 1); // no nonce is used again
}

TEST_CASE("lives of a node do not answer for each other", "[sealed][replay]") {
  loopback_hub hub;
  std::vector<std::string> log;
  const auto make = [&](std::unique_ptr<endpoint> below, peer_id self, std::uint64_t incarnation) {
    sealed_options options;
    options.self = self;
    options.incarnation = incarnation;
    options.secret.assign(16, std::byte{3});
    options.log = [&](peer_id, std::string_view line) { log.emplace_back(line); };
    return make_sealed_endpoint(std::move(below), options);
  };
  recorder at_b, at_a;
  auto b = make(hub.make_endpoint(2, limits_below_seal({})), 2, 1);
  REQUIRE_FALSE(b->listen(at_b));
  bytes old_header;
  {
    auto wire = std::make_unique<wire_tap>(hub.make_endpoint(1, limits_below_seal({})));
    auto& tap = *wire;
    auto a = make(std::move(wire), 1, 1);
    REQUIRE_FALSE(a->listen(at_a));
    a->connect(2, b->local_address());
    b->connect(1, a->local_address());
    a->send(2, numbered(1), {}, {});
    tap.swallow = true;
    a->send(2, numbered(2), {}, {});
    old_header = tap.headers[1];
    a->close();
  }
  REQUIRE(at_b.wait_lost(1));
  auto wire = std::make_unique<wire_tap>(hub.make_endpoint(1, limits_below_seal({})));
  auto& tap = *wire;
  auto a = make(std::move(wire), 1, 2);
  REQUIRE_FALSE(a->listen(at_a));
  a->connect(2, b->local_address());
  b->connect(1, a->local_address());
  SECTION("a message of the sender's earlier life comes late") {
    tap.headers.push_back(old_header);
    tap.payloads.emplace_back();
    tap.inject(0);
    a->send(2, numbered(3), {}, {});
    CHECK(log == std::vector<std::string>{"dropped a message: from an earlier life of its sender"});
  }
  SECTION("the receiver starts anew and hears an old message again") {
    a->send(2, numbered(3), {}, {});
    REQUIRE(at_b.messages().size() == 2);
    b->close();
    recorder at_b2;
    auto b2 = make(hub.make_endpoint(2, limits_below_seal({})), 2, 2);
    REQUIRE_FALSE(b2->listen(at_b2));
    REQUIRE(at_a.wait_lost(2));
    a->connect(2, b2->local_address());
    b2->connect(1, a->local_address());
    tap.inject(0);
    CHECK(at_b2.messages().empty());
    CHECK(at_b2.lost().empty());
    CHECK(
        log
        == std::vector<std::string>{"dropped a message: sealed for an earlier life of this node"});
    b2->close();
    a->close();
    return;
  }
  REQUIRE(at_b.messages().size() == 2);
  CHECK(number_of(at_b.messages()[1].header) == 3);
  a->close();
  b->close();
}

TEST_CASE("a peer that has only dialed in is answered", "[sealed]") {
  loopback_hub hub;
  const auto make = [&](peer_id self) {
    sealed_options options;
    options.self = self;
    options.secret.assign(16, std::byte{3});
    return make_sealed_endpoint(hub.make_endpoint(self, limits_below_seal({})), options);
  };
  recorder at_a, at_b;
  auto a = make(1), b = make(2);
  REQUIRE_FALSE(a->listen(at_a));
  REQUIRE_FALSE(b->listen(at_b));
  a->connect(2, b->local_address());
  outcomes done;
  b->send(1, numbered(1), {}, done.as(0));
  REQUIRE(done.wait(1));
  CHECK(done.of(0) == errc::unknown_peer); // nothing is known of its life yet
  a->send(2, numbered(2), {}, {});
  b->send(1, numbered(3), filled(100, 1), done.as(1));
  REQUIRE(done.wait(2));
  CHECK_FALSE(done.of(1));
  REQUIRE(at_a.messages().size() == 1);
  CHECK(equal(at_a.messages()[0].payload, filled(100, 1)));
  a->close();
  b->close();
}

TEST_CASE("keys depend on who speaks to whom in which life", "[sealed][key]") {
  const bytes secret(32, std::byte{9});
  const seal_parties parties{1, 2, 3, 4, 5};
  seal_prefix prefix{2, 3, 5, 1};
  const bytes header(10, std::byte{1});
  const auto sealed = seal_key(secret, parties).seal(prefix, header, {}, {});
  prefix = *decode_seal(sealed);
  CHECK(seal_key(secret, parties).opens_header(prefix, header, 0));
  for (int field = 0; field < 5; ++field) {
    auto other = parties;
    std::uint64_t* const fields[] = {&other.sender, &other.incarnation, &other.epoch,
                                     &other.receiver, &other.receiver_epoch};
    ++*fields[field];
    INFO(field);
    CHECK_FALSE(seal_key(secret, other).opens_header(prefix, header, 0));
  }
  CHECK_FALSE(seal_key(bytes(32, std::byte{8}), parties).opens_header(prefix, header, 0));
  CHECK_THROWS(make_sealed_endpoint(nullptr, {}));
}

TEST_CASE("the replay window agrees with a set that remembers all", "[sealed][replay]") {
  std::mt19937_64 random(5);
  replay_window window;
  std::set<std::uint64_t> seen;
  std::uint64_t highest = 0;
  for (int i = 0; i < 200'000; ++i) {
    const auto kind = random() % 100;
    std::uint64_t counter = 0;
    if (kind < 50)
      counter = highest + 1 + random() % 3;
    else if (kind < 99)
      counter = highest - std::min(highest, random() % (2 * replay_window::width));
    else
      counter = highest + random() % (3 * replay_window::width);
    const bool fresh =
        counter > 0 && counter + replay_window::width > highest && seen.insert(counter).second;
    REQUIRE(window.accept(counter) == fresh);
    highest = std::max(highest, counter);
  }
}
