// CAF behind the gate: two actor systems find each other over mutual TLS, and nobody else gets through.
#include "runtime/gate/middleman.hpp"

#include "gate_world.hpp"

#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include <atomic>
#include <deque>

using namespace skippipe::runtime;
using namespace skippipe::runtime::testing;

namespace {

struct node_config : caf::actor_system_config {
  node_config() {
    load<caf::io::middleman>();
    set("scheduler.policy", caf::atom("sharing"));
    set("scheduler.max-threads", std::size_t{2});
    set("middleman.workers", std::size_t{0});
    // As in a daemon: CAF's heartbeats are off behind a gate. (A tick that reaches CAF's broker while its
    // system ends is never freed, and it holds the broker: CAF 0.17 does not close a broker's mailbox.)
    set("middleman.heartbeat-interval", caf::timespan{0});
  }
};

/// One node: an actor system whose control plane is the gate's.
struct node {
  node(key_world& world, const std::string& name, bool listens, gate::gate_limits limits = {})
      : system(cfg) {
    gate::gate_options options;
    options.files = world.keys(name);
    options.listen = listens ? "127.0.0.1:0" : "";
    options.limits = limits;
    options.log = log.sink();
    middleman = std::make_unique<gate::secure_middleman>(system, std::move(options));
  }
  caf::expected<caf::actor> connect(const node& other) {
    return middleman->remote_actor("127.0.0.1", other.middleman->port());
  }
  line_log log;
  node_config cfg;
  caf::actor_system system;
  std::unique_ptr<gate::secure_middleman> middleman; ///< Ends before its system.
};

// With an argument: CAF 0.17 binds a reference to nothing for functions without one.
caf::behavior multiplier(caf::event_based_actor*, int factor) {
  return {[factor](int x) { return factor * x; }, [](const std::string& text) { return text; }};
}

caf::behavior watcher_of(caf::event_based_actor* self, const caf::actor& whom,
                         std::atomic<int>* lost) {
  self->set_down_handler([lost](const caf::down_msg&) { ++*lost; });
  self->monitor(whom);
  return {[](int) {}};
}

/// Publishes a doubling actor, and ends it.
struct server : node {
  explicit server(key_world& world, gate::gate_limits limits = {})
      : node(world, "server", true, limits), actor(system.spawn(multiplier, 2)) {
    const auto port = middleman->publish(actor);
    REQUIRE(port);
    REQUIRE(*port == middleman->port());
  }
  ~server() { caf::anon_send_exit(actor, caf::exit_reason::user_shutdown); }
  caf::actor actor;
};

int ask(node& from, const caf::actor& whom, int x) {
  caf::scoped_actor self{from.system};
  int answer = -1;
  self->request(whom, std::chrono::seconds(patience), x)
      .receive([&](int y) { answer = y; }, [&](const caf::error&) {});
  return answer;
}

std::string text_of(node& at, const caf::error& error) { return at.system.render(error); }

} // namespace

TEST_CASE("two actor systems talk through the gate", "[control]") {
  key_world world;
  server s(world);
  node a(world, "a", false), b(world, "b", false);
  const auto at_a = a.connect(s), at_b = b.connect(s);
  REQUIRE(at_a);
  REQUIRE(at_b);
  CHECK(ask(a, *at_a, 21) == 42);
  CHECK(ask(b, *at_b, 5) == 10);
  CHECK(s.middleman->counts().admitted == 2);
  CHECK(s.middleman->counts().refused == 0);
  // Large messages flow both ways, through buffers smaller than they are.
  caf::scoped_actor self{a.system};
  const std::string large(5'000'000, 'x');
  for (int i = 0; i < 3; ++i) {
    bool same = false;
    self->request(*at_a, std::chrono::seconds(patience), large)
        .receive([&](const std::string& text) { same = text == large; },
                 [&](const caf::error& e) { FAIL(text_of(a, e)); });
    CHECK(same);
  }
}

TEST_CASE("the certificate says who a node is", "[control]") {
  key_world world;
  server s(world);
  node a(world, "paris-1", false);
  const auto remote = a.connect(s);
  REQUIRE(remote);
  CHECK(a.middleman->name_of((*remote)->node()) == "server");
  CHECK(ask(a, *remote, 1) == 2); // the server knows a node once it has heard from it
  CHECK(s.middleman->name_of(a.system.node()) == "paris-1");
  CHECK(s.middleman->name_of(caf::node_id{}) == "");
}

TEST_CASE("a lost connection reaches the actors at both ends", "[control]") {
  key_world world;
  server s(world);
  auto a = std::make_unique<node>(world, "a", false);
  const auto remote = a->connect(s);
  REQUIRE(remote);
  CHECK(ask(*a, *remote, 1) == 2);
  CHECK(s.middleman->counts().open == 1);

  std::atomic<int> lost{0};
  const auto watcher = a->system.spawn(watcher_of, *remote, &lost);
  SECTION("the server's gate ends") {
    s.middleman.reset();
    CHECK(eventually([&] { return lost == 1; }));
  }
  SECTION("the certificate is revoked") {
    world.ca.revoke("a");
    CHECK(eventually([&] { return lost == 1; }));
    CHECK_FALSE(a->connect(s));
  }
  SECTION("the node ends") {
    caf::anon_send_exit(watcher, caf::exit_reason::kill);
    a.reset();
    CHECK(eventually([&] { return s.middleman->counts().open == 0; }));
    return;
  }
  caf::anon_send_exit(watcher, caf::exit_reason::kill);
}

TEST_CASE("a node without a good certificate learns why", "[control][strangers]") {
  key_world world, other_world;
  server s(world);
  node good(world, "good", false);
  const auto remote = good.connect(s);
  REQUIRE(remote);

  node stranger(other_world, "good", false);
  const auto refused = stranger.connect(s);
  REQUIRE_FALSE(refused);
  CHECK_THAT(text_of(stranger, refused.error()),
             Catch::Contains("its certificate was not accepted"));
  CHECK(ask(good, *remote, 4) == 8);

  const auto nobody = good.middleman->remote_actor("127.0.0.1", 1);
  REQUIRE_FALSE(nobody);
  CHECK_THAT(text_of(good, nobody.error()), Catch::Contains("nobody listens there"));
  const auto nowhere = good.middleman->remote_actor("no.such.host.invalid", 1);
  REQUIRE_FALSE(nowhere);
  CHECK_THAT(text_of(good, nowhere.error()), Catch::Contains("cannot be resolved"));
}

TEST_CASE("without keys there is no control plane", "[control]") {
  node_config cfg;
  caf::actor_system system{cfg};
  CHECK_THROWS(gate::secure_middleman(system, {}));
}

TEST_CASE("good peers join while a thousand strangers hold on", "[control][flood]") {
  key_world world;
  server s(world);
  node first(world, "first", false);
  const auto remote = first.connect(s);
  REQUIRE(remote);
  std::deque<raw_socket> flood;
  for (int i = 0; i < 1000; ++i) {
    flood.emplace_back(s.middleman->port());
    if (i % 2 == 0)
      flood.back().send("\x16\x03\x01\x02\x00");
  }
  for (int i = 0; i < 5; ++i) {
    node late(world, "late-" + std::to_string(i), false);
    const auto at_late = late.connect(s);
    REQUIRE(at_late);
    CHECK(ask(late, *at_late, i) == 2 * i);
    CHECK(ask(first, *remote, i) == 2 * i);
  }
  CHECK(s.log.lines().size() <= 4);
}
