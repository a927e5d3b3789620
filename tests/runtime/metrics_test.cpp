// What a node tells Prometheus, and how it answers those who do not ask for that.
#include "runtime/daemon/metrics_server.hpp"
#include "runtime/daemon/node_metrics.hpp"

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

using namespace skippipe::runtime;
using namespace skippipe::runtime::daemon;

namespace {

class visitor {
public:
  explicit visitor(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
  }
  ~visitor() { ::close(fd_); }
  visitor(const visitor&) = delete;
  visitor& operator=(const visitor&) = delete;

  void say(const std::string& text) { ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }
  /// All until the server closes.
  std::string hear() {
    std::string text;
    char bytes[4096];
    for (ssize_t n; (n = ::recv(fd_, bytes, sizeof bytes, 0)) > 0;)
      text.append(bytes, static_cast<std::size_t>(n));
    return text;
  }

private:
  int fd_;
};

std::string ask(std::uint16_t port, const std::string& request) {
  visitor one{port};
  one.say(request);
  return one.hear();
}

} // namespace

TEST_CASE("metrics are served over HTTP", "[daemon][metrics]") {
  metrics_server server{{"127.0.0.1", 0}, [] { return std::string{"a 1\n"}; }};
  const auto reply = ask(server.port(), "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(reply.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(reply.find("Content-Length: 4\r\n") != std::string::npos);
  CHECK(reply.ends_with("\r\n\r\na 1\n"));
  CHECK(ask(server.port(), "GET /other HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
  CHECK(ask(server.port(), "DELETE /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
}

TEST_CASE("whoever is slow or long at the metrics port keeps nobody waiting for long",
          "[daemon][metrics][R8]") {
  metrics_server server{{"127.0.0.1", 0}, [] { return std::string{"a 1\n"}; }};
  visitor silent{server.port()};
  CHECK(ask(server.port(), std::string(100'000, 'x')) == "");
  CHECK(ask(server.port(), "GET /metrics HTTP/1.1\r\n\r\n").ends_with("a 1\n"));
  CHECK(silent.hear() == "");
}

TEST_CASE("a metrics port that is taken is one clear line", "[daemon][metrics][R10]") {
  metrics_server first{{"127.0.0.1", 0}, [] { return std::string{}; }};
  CHECK_THROWS_WITH((metrics_server{{"127.0.0.1", first.port()}, [] { return std::string{}; }}),
                    Catch::StartsWith("metrics.listen = '127.0.0.1:")
                        && Catch::Contains("choose another"));
}

TEST_CASE("a node's figures are in Prometheus' format", "[daemon][metrics]") {
  node_figures node{"a\"b\\c\nd", "lab", true, 7, {}};
  const auto plain = metrics_text(node);
  CHECK(plain.find("skippipe_info{name=\"a\\\"b\\\\c\\nd\",cluster=\"lab\"} 1\n")
        != std::string::npos);
  CHECK(plain.find("# TYPE skippipe_sent_bytes_total counter\nskippipe_sent_bytes_total 7\n")
        != std::string::npos);
  CHECK(plain.find("skippipe_jobs_queued") == std::string::npos);

  node.status = nlohmann::json::parse(R"({"nodes":{"ready":2,"failed":1},"queued":3,"job":null})");
  const auto idle = metrics_text(node);
  CHECK(idle.find("skippipe_nodes{state=\"ready\"} 2\n") != std::string::npos);
  CHECK(idle.find("skippipe_job_running 0\n") != std::string::npos);

  node.status["job"] = {{"id", "j-1"}, {"progress", {{"iteration", 5}, {"loss", 2.5}}}};
  const auto busy = metrics_text(node);
  CHECK(busy.find("skippipe_job_iteration{job=\"j-1\"} 5\n") != std::string::npos);
  CHECK(busy.find("skippipe_job_loss{job=\"j-1\"} 2.5\n") != std::string::npos);
  for (std::size_t at = 0; at < busy.size(); at = busy.find('\n', at) + 1)
    CHECK((busy.substr(at, 2) == "# " || busy.substr(at, 9) == "skippipe_"
           || busy.substr(at, 8) == "process_"));
}
