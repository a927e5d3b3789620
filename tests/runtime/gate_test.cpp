// The door of the control plane: who comes in, who does not, and what strangers may cost.
#include "echo_gate.hpp"

#include <ctime>
#include <deque>
#include <set>

using namespace skippipe::runtime;
using namespace skippipe::runtime::testing;
namespace transport = skippipe::transport;
using transport::unique_fd;

namespace {

/// Node files of another authority, of an expired or a revoked certificate.
tls_client::manner bad_keys(key_world& world, const std::string& kind) {
  if (kind == "another authority's") {
    auto other = security::authority::create(world.at / "other", "lab", std::chrono::days{9});
    other.issue("stranger", {}, std::chrono::days{9});
    const auto files = other.files_of("stranger");
    return {files.certificate.string(), files.key.string()};
  }
  const auto files = world.keys("stranger");
  if (kind == "expired") {
    const auto key = security::read_key(files.key);
    const auto ca = security::read_certificate(files.ca);
    const auto ca_key = security::read_key(world.at / "keys" / "ca.key");
    const auto x = security::make_node_certificate(
        key.get(), "stranger", {}, ca.get(), ca_key.get(),
        security::wall_clock::now() - std::chrono::days{3}, std::chrono::days{2});
    security::write_file(files.certificate, security::to_pem(x.get()), security::access::everyone);
  }
  return {files.certificate, files.key};
}

double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

} // namespace

TEST_CASE("a node of the cluster comes in and talks", "[gate]") {
  echo_gate g;
  tls_client good(g.port(), g.node("worker"));
  REQUIRE(good.handshaken);
  check_echo(good, handshake_header(100'000) + std::string(100'000, 'x'));
  const std::lock_guard guard(g.mutex);
  CHECK(g.names == std::vector<std::string>{"worker"});
  CHECK(g.refused() == 0);
  CHECK(g.door->counts().strangers == 0);
}

TEST_CASE("strangers are refused, named once, and disturb nobody", "[gate][strangers]") {
  gate::gate_limits limits;
  limits.handshake = 500ms;
  echo_gate g(limits);
  tls_client good(g.port(), g.node("worker"));
  check_echo(good, handshake_header(0));

  const auto tls_stranger = [&](const tls_client::manner& how) {
    tls_client stranger(g.port(), how);
    stranger.send(handshake_header(0));
    CHECK(stranger.receive() == "");
  };
  const auto raw_stranger = [&](std::string_view bytes) {
    const raw_socket stranger(g.port());
    REQUIRE(stranger.connected);
    stranger.send(bytes);
    CHECK(stranger.is_dropped());
  };
  struct knock {
    std::string what;
    std::function<void()> run;
    std::string said; ///< In the log.
  };
  std::string noise(3000, '\0');
  for (std::size_t i = 0; i < noise.size(); ++i)
    noise[i] = static_cast<char>(i * i * 31 + 7 * i + 1);
  auto wrong_protocol = g.node("worker"), no_protocol = wrong_protocol, old = wrong_protocol;
  wrong_protocol.protocol = "http/1.1";
  no_protocol.protocol = "";
  old.version = TLS1_2_VERSION;
  const std::vector<knock> knocks = {
      {"no certificate", [&] { tls_stranger({}); }, "peer did not return a certificate"},
      {"another authority's", [&] { tls_stranger(bad_keys(g.world, "another authority's")); },
       "its certificate was not accepted: unable to get local issuer"},
      {"expired", [&] { tls_stranger(bad_keys(g.world, "expired")); },
       "its certificate was not accepted: certificate has expired"},
      {"plain text", [&] { raw_stranger("GET / HTTP/1.0\r\n\r\n"); }, "http request"},
      {"noise", [&] { raw_stranger(noise); }, "TLS handshake failed"},
      {"an oversized record",
       [&] {
         raw_stranger(std::string("\x16\x03\x01\xff\xff\x01\xff\xff\xff", 9)
                      + std::string(70'000, 'x'));
       },
       "TLS handshake failed"},
      {"an endless hello",
       [&] {
         raw_stranger(std::string("\x16\x03\x01\x40\x00\x01\xff\xff\xff", 9)
                      + std::string(16'380, 'x'));
       },
       "TLS handshake failed"},
      {"a truncated handshake",
       [&] { raw_stranger(std::string("\x16\x03\x01\x02\x00\x01\x00", 7)); },
       "the handshake took too long"},
      {"silence", [&] { raw_stranger(""); }, "the handshake took too long"},
      {"another protocol", [&] { tls_stranger(wrong_protocol); }, "no application protocol"},
      {"no protocol", [&] { tls_stranger(no_protocol); }, "no control plane"},
      {"an old TLS", [&] { tls_stranger(old); }, "unsupported protocol"}};
  std::uint64_t before = 0;
  for (const auto& knock : knocks) {
    INFO(knock.what);
    knock.run();
    CHECK(eventually([&] { return g.refused() == before + 1; }));
    before = g.refused();
    CHECK(g.log.wait_for(knock.said));
    check_echo(good, handshake_header(11) + "undisturbed");
  }
  std::set<std::string> distinct;
  for (const auto& line : g.log.lines())
    CHECK(distinct.insert(line).second);
  CHECK(eventually([&] { return g.door->counts().strangers == 0; }));
  CHECK(g.door->counts().open == 1);
  const std::lock_guard guard(g.mutex);
  CHECK(g.connections.size() == 1); // nobody else ever reached CAF
}

TEST_CASE("a node that announces an absurd message is dropped", "[gate][strangers]") {
  echo_gate g;
  tls_client good(g.port(), g.node("good"));
  tls_client bad(g.port(), g.node("bad"));
  check_echo(good, handshake_header(0));
  REQUIRE(bad.send(handshake_header(0xfffffff0)));
  CHECK(bad.receive() == "");
  CHECK(g.log.wait_for("dropped 'bad'"));
  check_echo(good, handshake_header(0));
}

TEST_CASE("a revoked node loses its connection and does not return", "[gate][revoke]") {
  echo_gate g;
  tls_client stolen(g.port(), g.node("stolen"));
  tls_client good(g.port(), g.node("good"));
  check_echo(stolen, handshake_header(0));
  check_echo(good, handshake_header(0));
  g.world.ca.revoke("stolen");
  CHECK(stolen.receive() == ""); // the running gate notices by itself
  CHECK(g.log.wait_for("dropped 'stolen' at 127.0.0.1"));
  tls_client again(g.port(), g.node("stolen"));
  CHECK(again.receive() == "");
  CHECK(g.log.wait_for("its certificate was not accepted: certificate revoked"));
  check_echo(good, handshake_header(0));
}

TEST_CASE("renewed certificates are taken up while running", "[gate][renew]") {
  echo_gate g;
  tls_client before(g.port(), g.node("a"));
  check_echo(before, handshake_header(0));
  // Half a renewal: the key no longer fits. What was read before stays in use.
  const auto files = g.world.ca.files_of("server");
  security::write_file(files.key, security::to_pem(security::make_key().get()),
                       security::access::owner);
  CHECK(g.log.wait_for("does not belong to the certificate"));
  tls_client during(g.port(), g.node("b"));
  check_echo(during, handshake_header(0));
  g.world.ca.renew("server", std::chrono::days{70}, true);
  const auto fresh = security::serial_of(security::read_certificate(files.certificate).get());
  CHECK(eventually([&] {
    tls_client after(g.port(), g.node("c"));
    check_echo(after, handshake_header(0));
    return after.peer_serial() == fresh;
  }));
  check_echo(before, handshake_header(0));
}

TEST_CASE("a thousand half-open connections cost next to nothing", "[gate][flood]") {
  echo_gate g;
  tls_client good(g.port(), g.node("worker"));
  check_echo(good, handshake_header(0));
  std::deque<raw_socket> flood;
  for (int i = 0; i < 1000; ++i) {
    flood.emplace_back(g.port());
    if (i % 2 == 0)
      flood.back().send("\x16\x03\x01\x02\x00"); // half of them begin a handshake
  }
  CHECK(eventually([&] { return g.door->counts().accepted == 1001; }));
  CHECK(g.door->counts().strangers <= 64);
  const auto cpu = cpu_seconds();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) {
    tls_client late(g.port(), g.node("late"));
    check_echo(late, handshake_header(0));
    check_echo(good, handshake_header(0));
    ::usleep(100'000);
  }
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  // Twenty good peers joined meanwhile: their handshakes, on both sides, are in it.
  CHECK((cpu_seconds() - cpu) / wall.count() < 0.25);
  CHECK(g.log.lines().size() <= 4); // one for each kind of refusal, not for each stranger
}

TEST_CASE("a gate dials a gate", "[gate][dial]") {
  echo_gate g;
  line_log log;
  const auto make = [&](const transport::tls::credential_files& files) {
    gate::gate_options options;
    options.files = files;
    options.log = log.sink();
    options.limits.handshake = 1000ms;
    auto door = std::make_unique<gate::gate>(std::move(options));
    REQUIRE(door->start() == "");
    return door;
  };
  const auto here = "127.0.0.1:" + std::to_string(g.port());
  // CAF greets first; so does the far side here.
  g.door->receive_with([&](gate::plain_connection connection) {
    const auto hello = handshake_header(5) + "hello";
    REQUIRE(::send(connection.fd.get(), hello.data(), hello.size(), MSG_NOSIGNAL) == 37);
    const std::lock_guard guard(g.mutex);
    g.connections.push_back(std::move(connection.fd));
    return true;
  });
  const auto door = make(g.world.keys("worker"));
  {
    const auto [connection, problem] = dial(*door, here);
    CHECK(problem == "");
    CHECK(connection.name == "server");
    char data[64];
    REQUIRE(
        eventually([&] { return ::recv(connection.fd.get(), data, sizeof data, MSG_PEEK) == 37; }));
    CHECK(std::string(data + 32, 5) == "hello");
  }
  CHECK(eventually([&] { return g.door->counts().open == 0; })); // our end closed, so did all
  CHECK_THAT(dial(*door, "127.0.0.1:1").second, Catch::Contains("nobody listens there"));
  CHECK_THAT(dial(*door, "nowhere:1").second, Catch::Contains("no numeric HOST:PORT"));

  const auto other = bad_keys(g.world, "another authority's");
  auto files = g.world.keys("worker");
  files.certificate = other.certificate;
  files.key = other.key;
  CHECK_THAT(dial(*make(files), here).second, Catch::Contains("unknown ca"));
  files.ca = (g.world.at / "other" / "ca.pem").string();
  files.revoked = "";
  CHECK_THAT(dial(*make(files), here).second, Catch::Contains("its certificate was not accepted"));
  g.world.ca.revoke("worker");
  CHECK(g.log.wait_for("refused"));
  CHECK(eventually([&] { return dial(*door, here).second.find("revoked") != std::string::npos; }));
  door->stop();
  CHECK(dial(*door, here).second == "the gate is closed");
}

TEST_CASE("a gate does not start with keys that do not fit", "[gate]") {
  key_world world;
  const auto start = [&](transport::tls::credential_files files) {
    gate::gate_options options;
    options.files = std::move(files);
    options.listen = "127.0.0.1:0";
    return gate::gate(std::move(options)).start();
  };
  const auto good = world.keys("a");
  auto files = good;
  CHECK(start(files) == "");
  files.key = world.keys("b").key;
  CHECK_THAT(start(files), Catch::Contains("does not belong to the certificate"));
  files = good;
  files.ca = "absent.pem";
  CHECK_THAT(start(files), Catch::Contains("CA file 'absent.pem'"));
  files = good;
  auto other = security::authority::create(world.at / "other", "lab", std::chrono::days{9});
  files.revoked = other.revoked_file().string();
  CHECK_THAT(start(files), Catch::Contains("revocation list"));
  files = {};
  CHECK(start(files) != ""); // no files, no authentication: never without a word
}
