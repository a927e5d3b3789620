// What only relays have: who may use them, and what they see.
#include "certificates.hpp"
#include "recorder.hpp"

#include "transport/tls/relay.hpp"
#include "transport/tls/relay_wire.hpp"

#include <catch2/catch.hpp>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

using namespace skippipe::transport;
using namespace skippipe::transport::testing;

namespace {

struct relayed_cluster {
  explicit relayed_cluster(std::string listen = "127.0.0.1:0") {
    tls_options options = options_for(ca.issue("relay"));
    options.listen = std::move(listen);
    options.handshake_timeout = 500ms;
    options.log = [this](std::string_view line) {
      const std::lock_guard guard(mutex);
      log.emplace_back(line);
      changed.notify_all();
    };
    relay = make_tls_relay(options);
    REQUIRE_FALSE(relay->listen());
  }
  static tls_options options_for(const key_files& files) {
    tls_options o;
    o.ca = files.ca;
    o.certificate = files.certificate;
    o.key = files.key;
    o.handshake_timeout = 2s;
    o.allow = [](peer_id peer, const std::string& name) {
      return name == "node-" + std::to_string(peer);
    };
    return o;
  }
  std::unique_ptr<endpoint> inner_node(peer_id self, const key_files& files,
                                       std::function<void(std::string_view)> log = {}) {
    tls_options o = options_for(files);
    o.log = std::move(log);
    o.self = self;
    o.listen.clear();
    o.relay = relay->address();
    return make_tls_endpoint(o);
  }
  bool wait_log(const std::string& part) {
    std::unique_lock guard(mutex);
    return changed.wait_for(guard, patience, [&] {
      return std::any_of(log.begin(), log.end(), [&](const std::string& line) {
        return line.find(part) != std::string::npos;
      });
    });
  }

  test_ca ca;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> log;
  std::unique_ptr<tls_relay> relay;
};

/// Sends `data` to the relay as a stranger; true when the relay then closes.
bool is_dropped(const std::string& relay, const bytes& data) {
  const auto to = tls::parse_address(relay);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&to->storage), to->size) == 0);
  const timeval limit{20, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  (void)::send(fd, data.data(), data.size(), MSG_NOSIGNAL);
  char sink[256];
  ssize_t n = 0;
  while ((n = ::recv(fd, sink, sizeof sink, 0)) > 0) {
  }
  const bool closed = n == 0 || errno == ECONNRESET;
  ::close(fd);
  return closed;
}

address text_address(const std::string& text) {
  const auto* first = reinterpret_cast<const std::byte*>(text.data());
  return {first, first + text.size()};
}

} // namespace

TEST_CASE("a relay drops strangers and forged tickets", "[transport][relay]") {
  relayed_cluster c;
  CHECK(is_dropped(c.relay->address(), {}));
  CHECK(is_dropped(c.relay->address(), filled_header(1, 9)));
  CHECK(is_dropped(c.relay->address(), filled_header(3000, 1)));
  CHECK(is_dropped(c.relay->address(),
                   encode(tls::relay_message{tls::relay_verb::claim, 0, 1, {1, 2}})));
  CHECK(c.wait_log("no such ticket"));
  CHECK(c.wait_log("said nothing in time"));
}

TEST_CASE("a relay serves its CA's nodes under their own names only", "[transport][relay]") {
  relayed_cluster c;
  recorder at_node, at_thief, at_dialer;
  const test_ca other_ca;
  std::atomic<int> node_ended{0}; // lines to the relay
  auto node = c.inner_node(2, c.ca.issue("node-2"), [&](std::string_view) { ++node_ended; });
  outcomes thief_ended;
  auto thief = c.inner_node(2, c.ca.issue("node-9"), // would be reached as node 2
                            [&](std::string_view) { thief_ended.as(0)({}); });
  key_files foreign = other_ca.issue("node-3");
  foreign.ca = c.ca.issue("x").ca; // trusts us
  auto stranger = c.inner_node(3, foreign);
  auto dialer = c.inner_node(4, c.ca.issue("node-4"));
  recorder at_stranger;
  REQUIRE_FALSE(stranger->listen(at_stranger));
  REQUIRE_FALSE(dialer->listen(at_dialer));
  REQUIRE_FALSE(node->listen(at_node));
  outcomes done;
  stranger->connect(2, node->local_address(), done.as(0));
  REQUIRE(done.wait(1));
  CHECK(done.of(0) == errc::unreachable);
  dialer->connect(2, node->local_address(), done.as(1));
  const buffer payload = filled(3'000'000, 4);
  dialer->send(2, filled_header(4, 1), payload, done.as(2));
  REQUIRE(done.wait(3));
  CHECK_FALSE(done.of(1));
  REQUIRE(at_node.wait_messages(1));
  CHECK(equal(at_node.messages()[0].payload, payload));
  REQUIRE_FALSE(thief->listen(at_thief));
  REQUIRE(thief_ended.wait(1)); // turned away, and not because the node came back
  CHECK(node_ended == 0);
  thief->close();
  node->close();
}

TEST_CASE("a relayed node is checked end to end", "[transport][relay]") {
  relayed_cluster c;
  recorder at_node, at_dialer;
  auto node = c.inner_node(2, c.ca.issue("node-2"));
  REQUIRE_FALSE(node->listen(at_node));
  // A dialer that expects another holder: the relay joined them, their own TLS parts them.
  tls_options o = relayed_cluster::options_for(c.ca.issue("node-4"));
  o.self = 4;
  o.allow = [](peer_id, const std::string& name) { return name == "node-7"; };
  auto dialer = make_tls_endpoint(o);
  REQUIRE_FALSE(dialer->listen(at_dialer));
  outcomes done;
  dialer->connect(2, node->local_address(), done.as(0));
  REQUIRE(done.wait(1));
  CHECK(done.of(0) == errc::not_authenticated);
}

TEST_CASE("a node that is not there is not reached", "[transport][relay]") {
  relayed_cluster c;
  recorder at_dialer;
  auto dialer = c.inner_node(4, c.ca.issue("node-4"));
  REQUIRE_FALSE(dialer->listen(at_dialer));
  outcomes done;
  dialer->connect(2, text_address("relay " + c.relay->address() + " 2"), done.as(0));
  dialer->connect(3, text_address("relay " + c.relay->address() + " 2"), done.as(1));
  REQUIRE(done.wait(2));
  CHECK(done.of(0) == errc::unreachable);
  CHECK(done.of(1) == errc::bad_address);
}

TEST_CASE("connections end with their relay, and a new one serves again", "[transport][relay]") {
  auto c = std::make_unique<relayed_cluster>();
  const std::string place = c->relay->address();
  recorder at_node, at_dialer;
  auto node = c->inner_node(2, c->ca.issue("node-2"));
  auto dialer = c->inner_node(4, c->ca.issue("node-4"));
  REQUIRE_FALSE(node->listen(at_node));
  REQUIRE_FALSE(dialer->listen(at_dialer));
  outcomes done;
  dialer->connect(2, node->local_address(), done.as(0));
  REQUIRE(done.wait(1));
  REQUIRE_FALSE(done.of(0));
  c->relay->close();
  REQUIRE(at_dialer.wait_lost(2));
  tls_options again = relayed_cluster::options_for(c->ca.issue("relay"));
  again.listen = place;
  const auto second = make_tls_relay(again);
  REQUIRE_FALSE(second->listen());
  dialer->connect(2, node->local_address(), done.as(1)); // waits for the node to come back
  dialer->send(2, filled_header(4, 1), filled(100'000, 1), done.as(2));
  REQUIRE(done.wait(3));
  CHECK_FALSE(done.of(1));
  REQUIRE(at_node.wait_messages(1));
}

TEST_CASE("relay messages and addresses are decoded strictly", "[transport][relay][wire]") {
  using namespace tls;
  const relay_message good{relay_verb::offer, 0, 5, {6, 7}};
  const bytes wire = encode(good);
  REQUIRE(wire.size() == relay_message_size);
  CHECK(decode_relay_message(wire) == good);
  for (std::size_t n = 0; n < wire.size(); ++n)
    CHECK_FALSE(decode_relay_message(std::span(wire).first(n)));
  CHECK_FALSE(decode_relay_message(encode(relay_message{relay_verb::offer, 0, 5, {}})));
  CHECK_FALSE(decode_relay_message(encode(relay_message{relay_verb::want, 0, 5, {}})));
  CHECK_FALSE(decode_relay_message(encode(relay_message{relay_verb::want, 17, 5, {}})));
  CHECK_FALSE(decode_relay_message(encode(relay_message{static_cast<relay_verb>(5), 0, 5, {}})));
  const auto where = parse_relay_address("relay 127.0.0.1:80 12");
  REQUIRE(where);
  CHECK(where->node == 12);
  CHECK(where->text() == "relay 127.0.0.1:80 12");
  for (const char* bad : {"127.0.0.1:80", "relay", "relay ", "relay 12", "relay 127.0.0.1:80",
                          "relay 127.0.0.1:80 ", "relay 127.0.0.1:80 x", "relay host:80 1"})
    CHECK_FALSE(parse_relay_address(bad));
}
