// A stolen node on the data plane: revoking its certificate ends its connections and lets it no longer in.
#include "gate_world.hpp"

#include "../transport/recorder.hpp"

#include "transport/tls/tls.hpp"

using namespace skippipe::runtime::testing;
using skippipe::transport::endpoint;
using skippipe::transport::peer_id;
using skippipe::transport::testing::outcomes;
using skippipe::transport::testing::recorder;
namespace transport = skippipe::transport;

namespace {

struct data_node {
  data_node(key_world& world, peer_id self, const std::string& name) : id(self) {
    const auto files = world.keys(name);
    transport::tls_options options;
    options.self = self;
    options.ca = files.ca;
    options.certificate = files.certificate;
    options.key = files.key;
    options.revoked = files.revoked;
    options.streams = 2;
    options.log = log.sink();
    end = transport::make_tls_endpoint(options);
    REQUIRE_FALSE(end->listen(events));
  }
  ~data_node() { end->close(); }
  std::error_code connect(const data_node& to) {
    outcomes done;
    end->connect(to.id, to.end->local_address(), done.as(0));
    REQUIRE(done.wait(1));
    return done.of(0);
  }
  std::error_code send(const data_node& to) {
    outcomes done;
    end->send(to.id, {std::byte{1}}, {}, done.as(0));
    REQUIRE(done.wait(1));
    return done.of(0);
  }
  const peer_id id;
  line_log log;
  recorder events;
  std::unique_ptr<endpoint> end;
};

} // namespace

TEST_CASE("a revoked node loses its data connections and makes no new ones", "[revoke][tls]") {
  key_world world;
  data_node a(world, 1, "a"), good(world, 2, "good"), stolen(world, 3, "stolen");
  REQUIRE_FALSE(stolen.connect(a)); // accepted by a
  REQUIRE_FALSE(good.connect(a));
  REQUIRE_FALSE(good.connect(stolen)); // dialed by good
  REQUIRE_FALSE(stolen.send(a));
  REQUIRE(a.events.wait_messages(1));

  world.ca.revoke("stolen");
  CHECK(a.events.wait_lost(3));
  CHECK(good.events.wait_lost(3));
  data_node again(world, 3, "stolen");
  CHECK(again.connect(a));
  CHECK(a.log.wait_for("certificate verify failed"));
  CHECK(good.connect(again));

  CHECK_FALSE(good.send(a));
  CHECK(a.events.wait_messages(2));
  CHECK(a.events.lost().size() == 1);
}
