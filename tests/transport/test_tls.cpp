// What only tls has: strangers, and what they may cost.
#include "certificates.hpp"
#include "damaging_path.hpp"
#include "recorder.hpp"

#include "transport/tls/tls.hpp"

#include <catch2/catch.hpp>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstring>
#include <thread>

using namespace skippipe::transport;
using namespace skippipe::transport::testing;

namespace {

std::uint16_t port_of(const endpoint& e) {
  const address a = e.local_address();
  const std::string text(reinterpret_cast<const char*>(a.data()), a.size());
  return static_cast<std::uint16_t>(std::stoi(text.substr(text.rfind(':') + 1)));
}

/// A plain TCP connection to a local port.
class plain_socket {
public:
  explicit plain_socket(std::uint16_t port)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
    const timeval limit{20, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  plain_socket(plain_socket&& other) noexcept
      : connected(other.connected), fd_(std::exchange(other.fd_, -1)) {}
  ~plain_socket() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  void send(const bytes& data) { (void)::send(fd_, data.data(), data.size(), MSG_NOSIGNAL); }
  /// True when the other side has closed within the patience of a test.
  bool is_dropped() {
    char sink[4096];
    for (;;) {
      const auto n = ::recv(fd_, sink, sizeof sink, 0);
      if (n <= 0)
        return n == 0 || errno == ECONNRESET;
    }
  }
  bool connected = false;

private:
  int fd_;
};

struct guarded_node {
  guarded_node() {
    options = options_for(1, ca.issue("node-1"));
    options.handshake_timeout = 400ms;
    options.allow = [](peer_id peer, const std::string& name) {
      return name == "node-" + std::to_string(peer);
    };
    options.log = [this](std::string_view line) {
      const std::lock_guard guard(mutex);
      log.emplace_back(line);
    };
  }
  static tls_options options_for(peer_id self, const key_files& files) {
    tls_options o;
    o.self = self;
    o.ca = files.ca;
    o.certificate = files.certificate;
    o.key = files.key;
    o.streams = 2;
    return o;
  }
  void start() {
    node = make_tls_endpoint(options);
    REQUIRE_FALSE(node->listen(at_node));
  }
  std::error_code try_join(const tls_options& with) {
    recorder at_other;
    auto other = make_tls_endpoint(with);
    if (auto problem = other->listen(at_other))
      return problem;
    outcomes done;
    other->connect(1, node->local_address(), done.as(0));
    REQUIRE(done.wait(1));
    if (!done.of(0)) {
      outcomes sent;
      other->send(1, filled_header(4, 1), {}, sent.as(0));
      REQUIRE(sent.wait(1));
      at_other.wait_lost(1, 200ms); // TLS 1.3 tells a refused client only after its handshake
      if (!at_other.lost().empty())
        return at_other.lost()[0].second;
    }
    return done.of(0);
  }
  std::size_t log_lines() {
    const std::lock_guard guard(mutex);
    return log.size();
  }

  test_ca ca;
  tls_options options;
  std::mutex mutex;
  std::vector<std::string> log;
  recorder at_node;
  std::unique_ptr<endpoint> node;
};

} // namespace

TEST_CASE("a peer without the right certificate is refused", "[transport][tls]") {
  guarded_node g;
  g.start();
  const test_ca other_ca;
  const key_files good = g.ca.issue("node-2"), foreign = other_ca.issue("node-2");

  CHECK_FALSE(g.try_join(guarded_node::options_for(2, good)));
  const std::size_t received = g.at_node.messages().size();
  CHECK(received == 1);

  SECTION("another CA's certificate") {
    auto o = guarded_node::options_for(2, foreign);
    o.ca = good.ca; // it would trust us
    CHECK(g.try_join(o));
  }
  SECTION("another CA altogether") { CHECK(g.try_join(guarded_node::options_for(2, foreign))); }
  SECTION("another node's name") { CHECK(g.try_join(guarded_node::options_for(3, good))); }
  SECTION("a key that does not belong to the certificate") {
    auto o = guarded_node::options_for(2, good);
    o.key = g.ca.issue("node-3").key;
    CHECK(g.try_join(o) == errc::setup_failed);
  }
  SECTION("the dialer checks whom it reached") {
    auto o = guarded_node::options_for(2, good);
    o.allow = [](peer_id, const std::string& name) { return name == "node-9"; };
    CHECK(g.try_join(o) == errc::not_authenticated);
  }
  CHECK(g.at_node.messages().size() == received);
  CHECK_FALSE(g.try_join(guarded_node::options_for(4, g.ca.issue("node-4"))));
}

TEST_CASE("strangers on the tls port are dropped and logged", "[transport][tls]") {
  guarded_node g;
  g.start();
  const std::uint16_t port = port_of(*g.node);
  {
    plain_socket silent(port), noise(port), http(port), cut(port);
    noise.send(filled_header(3000, 1));
    const std::string get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    http.send({reinterpret_cast<const std::byte*>(get.data()),
               reinterpret_cast<const std::byte*>(get.data()) + get.size()});
    // A TLS record header that promises more than it sends.
    cut.send({std::byte{22}, std::byte{3}, std::byte{1}, std::byte{2}, std::byte{0}, std::byte{1}});
    CHECK(noise.is_dropped());
    CHECK(http.is_dropped());
    CHECK(silent.is_dropped());
    CHECK(cut.is_dropped());
  }
  CHECK(g.log_lines() == 4);
  CHECK_FALSE(g.try_join(guarded_node::options_for(2, g.ca.issue("node-2"))));
  CHECK(g.at_node.messages().size() == 1);
}

TEST_CASE("half-open connections keep nobody out and cost little", "[transport][tls]") {
  guarded_node g;
  g.options.handshake_timeout = 60s; // they may stay as long as there is room
  g.options.max_half_open = 16;
  g.start();
  std::vector<plain_socket> crowd;
  for (int i = 0; i < 200; ++i) {
    crowd.emplace_back(port_of(*g.node));
    REQUIRE(crowd.back().connected);
  }
  CHECK(crowd.front().is_dropped()); // the oldest made room
  CHECK_FALSE(g.try_join(guarded_node::options_for(2, g.ca.issue("node-2"))));
  timespec before{}, after{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
  std::this_thread::sleep_for(300ms); // measured, not hoped for: the crowd just sits there
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  const double cpu = static_cast<double>(after.tv_sec - before.tv_sec)
                     + 1e-9 * static_cast<double>(after.tv_nsec - before.tv_nsec);
  CHECK(cpu < 0.05 * 0.3);
}

TEST_CASE("a node that only dials out is reached over its connection", "[transport][tls]") {
  guarded_node g;
  g.start();
  auto o = guarded_node::options_for(2, g.ca.issue("node-2"));
  o.listen.clear();
  recorder at_inner;
  auto inner = make_tls_endpoint(o);
  REQUIRE_FALSE(inner->listen(at_inner));
  CHECK(inner->local_address().empty());
  outcomes done;
  inner->connect(1, g.node->local_address(), done.as(0));
  inner->send(1, filled_header(4, 1), {}, done.as(1));
  REQUIRE(g.at_node.wait_messages(1));
  const buffer payload = filled(3'000'000, 1);
  g.node->send(2, filled_header(4, 2), payload, done.as(2));
  REQUIRE(done.wait(3));
  REQUIRE(at_inner.wait_messages(1));
  CHECK(equal(at_inner.messages()[0].payload, payload));
}

TEST_CASE("corrupted tls bytes lose the peer and are not delivered", "[transport][tls]") {
  guarded_node g;
  g.start();
  damaging_path path(port_of(*g.node));
  recorder at_sender;
  auto sender = make_tls_endpoint(guarded_node::options_for(2, g.ca.issue("node-2")));
  REQUIRE_FALSE(sender->listen(at_sender));
  outcomes done;
  const std::string where = path.address();
  const auto* text = reinterpret_cast<const std::byte*>(where.data());
  sender->connect(1, {text, text + where.size()}, done.as(0));
  const buffer payload = filled(4'000'000, 1);
  sender->send(1, filled_header(4, 1), payload, done.as(1));
  REQUIRE(g.at_node.wait_messages(1)); // an honest path so far
  CHECK(equal(g.at_node.messages()[0].payload, payload));
  path.damage = true;
  sender->send(1, filled_header(4, 2), payload, done.as(2));
  CHECK(g.at_node.wait_lost(2));
  CHECK(at_sender.wait_lost(1));
  REQUIRE(done.wait(3));
  CHECK(g.at_node.messages().size() == 1);
}
