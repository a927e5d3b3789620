// What `skippipe node --check --connect` finds before anything starts.
#include "runtime/check/check_command.hpp"
#include "runtime/check/node_check.hpp"
#include "runtime/check/probe.hpp"
#include "runtime/command_error.hpp"
#include "runtime/config/interfaces.hpp"
#include "runtime/security/key_check.hpp"

#include "gate_world.hpp"

#include <sys/stat.h>

#include <fstream>
#include <thread>

using namespace skippipe::runtime;
using namespace skippipe::runtime::testing;
using security::wall_clock;
using std::chrono::days;
namespace transport = skippipe::transport;

namespace {

std::string join(const std::vector<security::key_finding>& findings) {
  std::string text;
  for (const auto& [key, what] : findings)
    text += key + "=" + what + "\n";
  return text;
}

/// Accepts one connection after another in a thread and does `serve` with each.
class listener {
public:
  explicit listener(std::function<void(transport::unique_fd)> serve)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    REQUIRE(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&at), size) == 0);
    REQUIRE(::listen(fd_.get(), 16) == 0);
    ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&at), &size);
    port = ntohs(at.sin_port);
    thread_ = std::thread([this, serve = std::move(serve)] {
      for (;;) {
        transport::unique_fd one(::accept(fd_.get(), nullptr, nullptr));
        if (!one)
          return;
        serve(std::move(one));
      }
    });
  }
  ~listener() {
    ::shutdown(fd_.get(), SHUT_RDWR);
    thread_.join();
  }
  std::uint16_t port = 0;

private:
  transport::unique_fd fd_;
  std::thread thread_;
};

/// Answers probes with a clock that is `ahead` of the true one.
void serve_clock(const transport::tls::credential_files& files, transport::unique_fd fd,
                 std::chrono::seconds ahead) {
  std::string problem;
  const auto context = transport::tls::make_ssl_context(files, problem);
  SSL_CTX_set_alpn_select_cb(
      context.get(),
      [](SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in, unsigned,
         void*) {
        *out = in + 1;
        *size = in[0];
        return SSL_TLSEXT_ERR_OK;
      },
      nullptr);
  const transport::tls::unique_ssl ssl(SSL_new(context.get()));
  SSL_set_fd(ssl.get(), fd.get());
  if (SSL_accept(ssl.get()) != 1)
    return;
  char question = 0;
  do {
    const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(
                         (wall_clock::now() + ahead).time_since_epoch())
                         .count();
    unsigned char answer[8];
    for (int i = 0; i < 8; ++i)
      answer[i] = static_cast<unsigned char>(now >> (56 - 8 * i));
    SSL_write(ssl.get(), answer, 8);
  } while (SSL_read(ssl.get(), &question, 1) == 1);
}

address local(std::uint16_t port) { return {"127.0.0.1", port}; }

} // namespace

TEST_CASE("key files are checked against each other and the node", "[check][keys]") {
  key_world world;
  const auto paths = [&](const std::string& node) {
    const auto files = world.keys(node);
    return security::key_paths{files.ca, files.certificate, files.key, files.revoked};
  };
  const auto now = wall_clock::now();
  auto files = paths("a");
  const auto check = [&] { return join(security::check_keys(files, "a", now).problems); };
  CHECK(check() == "");
  CHECK(security::check_keys(files, "a", now).warnings.empty());

  SECTION("the name is another's") {
    CHECK_THAT(join(security::check_keys(files, "b", now).problems),
               Catch::Contains("expected the certificate of 'b' (node.name), got that of 'a'"));
  }
  SECTION("the key is another's") {
    files.key = paths("b").key;
    CHECK_THAT(check(), Catch::StartsWith("key=") && Catch::Contains("got another"));
  }
  SECTION("others can read the key") {
    ::chmod(files.key.c_str(), 0640);
    CHECK_THAT(check(), Catch::Contains("chmod 600"));
  }
  SECTION("another authority") {
    auto other = security::authority::create(world.at / "other", "lab", days{9});
    files.ca = other.certificate_file();
    files.revoked = other.revoked_file();
    CHECK_THAT(check(), Catch::Contains("got another authority's"));
  }
  SECTION("the CA is a node's certificate") {
    files.ca = files.certificate;
    files.revoked.clear();
    CHECK_THAT(check(), Catch::StartsWith("ca=") && Catch::Contains("expected an authority's"));
  }
  SECTION("absent files are all named") {
    files = {"no-ca", "no-certificate", "no-key", "no-list"};
    const auto text = check();
    for (const auto* key : {"ca=no-ca", "certificate=no-cert", "key=no-key", "revoked=no-list"})
      CHECK_THAT(text, Catch::Contains(key));
  }
  SECTION("time") {
    const auto end = security::not_after(security::read_certificate(files.certificate).get());
    CHECK_THAT(join(security::check_keys(files, "a", end + 1h).problems),
               Catch::Contains("expired on") && Catch::Contains("certs renew a"));
    CHECK_THAT(join(security::check_keys(files, "a", now - days{1}).problems),
               Catch::Contains("set the clock"));
    const auto soon = security::check_keys(files, "a", end - days{5});
    CHECK(soon.problems.empty());
    REQUIRE(soon.warnings.size() == 1);
    CHECK_THAT(soon.warnings[0], Catch::Contains("expires in 5 days"));
  }
  SECTION("revoked") {
    world.ca.revoke("a");
    CHECK_THAT(check(), Catch::Contains("was revoked") && Catch::Contains("--new-key"));
  }
  SECTION("a list of another authority") {
    files.revoked = security::authority::create(world.at / "other", "lab", days{9}).revoked_file();
    CHECK_THAT(check(), Catch::StartsWith("revoked=") && Catch::Contains("has signed"));
  }
}

TEST_CASE("problems of a node's keys carry their place in the file", "[check][keys]") {
  key_world world;
  const auto files = world.keys("paris-1");
  const auto text = "[node]\nname = 'paris-2'\n[security]\nmode = 'tls'\nca = '" + files.ca
                    + "'\ncertificate = '" + files.certificate + "'\nkey = '" + files.key + "'\n";
  problem_list problems;
  const auto document = toml_document::parse(text, "node.toml", problems);
  const auto node = read_node(*document, problems);
  REQUIRE(node);
  CHECK(credential_files_of(*node)->revoked == files.revoked); // found beside ca.pem
  CHECK(check_node(*document, *node, problems).empty());
  CHECK_THAT(problems.text(), Catch::StartsWith("node.toml:6:")
                                  && Catch::Contains("security.certificate: ")
                                  && Catch::Contains("got that of 'paris-1'"));
}

TEST_CASE("a key without effect is pointed out", "[check]") {
  const auto warnings_of = [](const std::string& text) {
    problem_list problems;
    const auto document = toml_document::parse(text, "node.toml", problems);
    return check_node(*document, *read_node(*document, problems), problems);
  };
  CHECK(warnings_of("[scheduler]\nvoters = []").empty());
  CHECK(warnings_of("[scheduler]\nvoters = ['a', 'b']")
        == std::vector<std::string>{"scheduler.voters is reserved and has no effect"});
}

TEST_CASE("prefixes of addresses", "[check][interfaces]") {
  const auto contains = [](const char* prefix, const char* host) {
    const auto parsed = address_prefix::parse(prefix);
    REQUIRE(parsed);
    return parsed->contains(host);
  };
  CHECK(contains("10.0.0.0/8", "10.255.1.2"));
  CHECK_FALSE(contains("10.0.0.0/8", "11.0.0.1"));
  CHECK(contains("192.168.4.0/22", "192.168.7.255"));
  CHECK_FALSE(contains("192.168.4.0/22", "192.168.8.0"));
  CHECK(contains("10.1.2.3", "10.1.2.3"));
  CHECK_FALSE(contains("10.1.2.3", "10.1.2.2"));
  CHECK(contains("0.0.0.0/0", "8.8.8.8"));
  CHECK_FALSE(contains("0.0.0.0/0", "::1"));
  CHECK(contains("fd00::/8", "fdab::1"));
  CHECK_FALSE(contains("fd00::/8", "10.0.0.1"));
  CHECK_FALSE(contains("10.0.0.0/8", "ten"));
  for (const auto* bad : {"", "eth0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "fd00::/129", "/8"})
    CHECK_FALSE(address_prefix::parse(bad));
}

TEST_CASE("ucx listens on trusted interfaces only", "[check][interfaces]") {
  const std::vector<local_interface> here = {{"lo", "127.0.0.1"},      {"eth0", "203.0.113.7"},
                                             {"eth1", "10.0.0.5"},     {"wg0", "fe80::1"},
                                             {"eth1", "198.51.100.9"}, {"wg0", "fd00::5"}};
  const auto problems_of = [&](const std::string& listen, const std::string& trusted) {
    problem_list problems;
    const auto document = toml_document::parse(
        "[node]\nlisten = '203.0.113.7:7000'\ndata_listen = '" + listen
            + "'\n[security]\nca = 'a'\ncertificate = 'b'\nkey = 'c'\ntrusted_interfaces = ["
            + trusted + "]\n",
        "node.toml", problems);
    const auto node = read_node(*document, problems);
    if (node) {
      std::string problem;
      if (ucx_device(here, *node, problem).empty())
        return "here: " + problem;
    }
    return problems.text();
  };
  CHECK(problems_of("127.0.0.1:0", "") == "");
  CHECK_THAT(problems_of("203.0.113.7:0", ""), Catch::Contains("data_plane"));
  CHECK_THAT(problems_of("203.0.113.7:0", "'10.0.0.0/8'"), Catch::Contains("expected 'tls'"));
  CHECK_THAT(problems_of("203.0.113.7:0", "'10.0.0.0/40'"), Catch::Contains("a prefix like"));
  // Names are looked up on the machine itself.
  CHECK(problems_of("10.0.0.5:0", "'eth1'") == "");
  CHECK_THAT(problems_of("203.0.113.7:0", "'eth1'"),
             Catch::StartsWith("here: expected an address of a trusted interface"));
  const std::string others = "eth0 (203.0.113.7), eth1 (10.0.0.5, 198.51.100.9), wg0 (fd00::5)";
  CHECK_THAT(problems_of("10.0.0.5:0", "'eht1'"),
             Catch::EndsWith("(there is no 'eht1' here, but " + others + ")"));
  CHECK_THAT(problems_of("10.0.0.6:0", "'eth1'"), Catch::EndsWith("; here are " + others));
  // UCX would listen on 10.0.0.5, whichever of the two is trusted.
  CHECK_THAT(problems_of("198.51.100.9:0", "'198.51.100.0/24'"),
             Catch::StartsWith("here: expected '10.0.0.5', as UCX listens on the first address"));
  CHECK(problems_of("[fd00::5]:0", "'wg0'") == "");
  CHECK(problems_of("[fd00::5]:0", "'10.0.0.0/8', 'fd00::/8'") == "");
  CHECK_FALSE(problems_of("[fe80::1]:0", "'wg0'") == "");
}

TEST_CASE("a probe tells which part of a seed is wrong", "[check][connect]") {
  key_world world;
  gate::gate_options options;
  options.files = world.keys("server");
  options.listen = "127.0.0.1:0";
  gate::gate door(std::move(options));
  REQUIRE(door.start() == "");
  const auto files = world.keys("me");
  const auto here = local(door.port());

  const auto good = probe(here, files, 5s);
  CHECK(good.problem == "");
  CHECK(good.name == "server");
  REQUIRE(good.clock_offset_s);
  CHECK(std::abs(*good.clock_offset_s) <= *good.clock_uncertainty_s + 1e-4);
  CHECK(*good.clock_uncertainty_s < 1);
  CHECK(probe(here, std::nullopt, 5s).problem == "");

  CHECK_THAT(probe({"no.such.host.invalid", 7000}, files, 1s).problem,
             Catch::Contains("cannot be resolved"));
  CHECK_THAT(probe(local(1), files, 1s).problem,
             Catch::Contains("nobody listens there; the host is up"));
  const listener silent([](const transport::unique_fd& fd) {
    char sink[2048];
    while (::recv(fd.get(), sink, sizeof sink, 0) > 0) {
    }
  });
  CHECK_THAT(probe(local(silent.port), files, 300ms).problem, Catch::Contains("TCP but not TLS"));
  const listener web([](const transport::unique_fd& fd) {
    const std::string_view text = "HTTP/1.1 400 Bad Request\r\n\r\n";
    (void)::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
  });
  CHECK_THAT(probe(local(web.port), files, 5s).problem, Catch::Contains("does not speak TLS"));

  // The other authority's nodes, seen from both sides.
  key_world others;
  CHECK_THAT(probe(here, others.keys("me"), 5s).problem,
             Catch::Contains("its certificate was not accepted"));
  auto stranger = others.keys("me");
  stranger.ca = files.ca;
  stranger.revoked = files.revoked;
  CHECK_THAT(probe(here, stranger, 5s).problem,
             Catch::Contains("does not accept us") && Catch::Contains("unknown ca"));
}

TEST_CASE("a clock that is wrong is named", "[check][connect]") {
  key_world world;
  const auto theirs = world.keys("server");
  std::chrono::seconds ahead{0};
  const listener seed([&](transport::unique_fd fd) { serve_clock(theirs, std::move(fd), ahead); });
  const auto files = world.keys("me");
  CHECK(probe(local(seed.port), files, 5s).problem == "");
  ahead = 20s;
  CHECK(probe(local(seed.port), files, 5s).problem == "");
  ahead = 3600s;
  const auto late = probe(local(seed.port), files, 5s);
  CHECK(*late.clock_offset_s == Approx(3600).margin(1));
  CHECK_THAT(late.problem, Catch::Contains("its clock is 3600 s ahead of ours"));
  ahead = -100s;
  CHECK_THAT(probe(local(seed.port), files, 5s).problem, Catch::Contains("100 s behind ours"));
}

TEST_CASE("a node's own ports and its seeds are tried in turn", "[check][connect]") {
  const listener taken([](const transport::unique_fd&) {});
  node_config node;
  node.listen = local(taken.port);
  node.data_listen = {"203.0.113.9", 7000};
  node.seeds = {local(taken.port), local(1)};
  const auto findings = check_connections(node, 1s);
  REQUIRE(findings.size() == 4);
  CHECK_THAT(findings[0].problem, Catch::Contains("another process listens on it"));
  CHECK_THAT(findings[1].problem, Catch::Contains("no interface of this machine"));
  CHECK(findings[2].problem == "");
  CHECK(findings[2].what == "seed 127.0.0.1:" + std::to_string(taken.port));
  CHECK_THAT(findings[3].problem, Catch::Contains("nobody listens there"));
  node.listen.port = 0;
  CHECK(check_connections(node, 1s)[0].problem == "");
}

TEST_CASE("the check of a node's file ends in a line for each problem", "[check][connect]") {
  key_world world;
  const auto keys = world.keys("a");
  const auto write = [&](const std::string& name, const std::string& seeds) {
    const auto file = world.at / "node.toml";
    std::ofstream(file) << "[node]\nname = '" << name << "'\nseeds = [" << seeds
                        << "]\n[security]\nmode = 'tls'\nca = '" << keys.ca << "'\ncertificate = '"
                        << keys.certificate << "'\nkey = '" << keys.key << "'\n";
    return file.string();
  };
  CHECK(check_node_file(write("a", ""), {}, true, false) == 0);
  CHECK_THROWS_WITH(check_node_file(write("b", ""), {}, false, false),
                    Catch::Contains("node.toml:7:") && Catch::Contains("got that of 'a'"));
  CHECK_THROWS_WITH(check_node_file(write("a", "'127.0.0.1:1'"), {}, true, true),
                    Catch::Contains("1 of 3 connections failed"));
  CHECK(check_node_file(write("b", ""), {"node.name=a"}, false, true) == 0);
  CHECK_THROWS_AS(check_node_file("absent.toml", {}, false, false), command_error);
}
