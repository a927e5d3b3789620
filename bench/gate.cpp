// What strangers cost a daemon: the CPU of a gate's process while 1,000 half-open connections are held,
// and how long good peers take to join meanwhile.
//   bench_gate [SECONDS]   (60)
#include "runtime/gate/gate.hpp"
#include "runtime/gate/open_files.hpp"
#include "runtime/security/authority.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <future>
#include <thread>
#include <vector>

using namespace skippipe;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

namespace {

transport::tls::credential_files files_of(const runtime::security::authority& ca,
                                          const std::string& node) {
  const auto files = ca.files_of(node);
  return {files.ca.string(), files.certificate.string(), files.key.string(),
          files.revoked.string()};
}

/// The daemon: greets whoever is let in, as CAF does. Tells its port through `out`.
[[noreturn]] void serve(const transport::tls::credential_files& files, int out) {
  runtime::gate::raise_open_files();
  runtime::gate::gate_options options;
  options.files = files;
  options.listen = "127.0.0.1:0";
  runtime::gate::gate door(std::move(options));
  if (!door.start().empty())
    std::abort();
  std::vector<transport::unique_fd> open; // used on the gate's thread only
  door.receive_with([&](runtime::gate::plain_connection connection) {
    const std::string greeting(32, '\0');
    (void)::send(connection.fd.get(), greeting.data(), greeting.size(), MSG_NOSIGNAL);
    open.push_back(std::move(connection.fd));
    return true;
  });
  const std::uint16_t port = door.port();
  if (::write(out, &port, sizeof port) != sizeof port)
    std::abort();
  for (;;)
    ::pause();
}

transport::unique_fd connect_to(std::uint16_t port) {
  transport::unique_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0
             ? std::move(fd)
             : transport::unique_fd{};
}

bool is_open(const transport::unique_fd& fd) {
  char byte = 0;
  return fd && ::recv(fd.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

/// Silent, or with the beginning of a handshake.
transport::unique_fd half_open(std::uint16_t port, std::size_t i) {
  auto fd = connect_to(port);
  if (fd && i % 2 == 0)
    (void)::send(fd.get(), "\x16\x03\x01\x02\x00", 5, MSG_NOSIGNAL);
  return fd;
}

double cpu_of(pid_t process) {
  clockid_t id{};
  timespec now{};
  if (::clock_getcpuclockid(process, &id) != 0 || ::clock_gettime(id, &now) != 0)
    std::abort();
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Milliseconds until a good peer is in; negative when it is not.
double join(runtime::gate::gate& peer, std::uint16_t port) {
  std::promise<bool> promise;
  auto joined = promise.get_future();
  const auto start = clock_type::now();
  peer.dial("127.0.0.1:" + std::to_string(port),
            [&](runtime::gate::plain_connection connection, const std::string&) {
              promise.set_value(static_cast<bool>(connection.fd));
            });
  const bool in = joined.get();
  return in ? 1e3 * std::chrono::duration<double>(clock_type::now() - start).count() : -1;
}

void measure(const char* what, int seconds, std::size_t strangers, bool insist, pid_t daemon,
             std::uint16_t port, runtime::gate::gate& peer) {
  std::vector<transport::unique_fd> held;
  for (std::size_t i = 0; i < strangers; ++i)
    held.push_back(half_open(port, i));
  std::vector<double> joins;
  std::size_t came_back = 0;
  const double cpu = cpu_of(daemon);
  const auto start = clock_type::now();
  for (int s = 1; s <= seconds; ++s) {
    joins.push_back(join(peer, port));
    for (std::size_t i = 0; insist && i < held.size(); ++i)
      if (!is_open(held[i])) {
        held[i] = half_open(port, i);
        ++came_back;
      }
    std::this_thread::sleep_until(start + s * 1s);
  }
  const double wall = std::chrono::duration<double>(clock_type::now() - start).count();
  std::sort(joins.begin(), joins.end());
  const auto failed = std::count_if(joins.begin(), joins.end(), [](double ms) { return ms < 0; });
  std::printf("| %s | %d | %.2f %% | %zu | %.1f | %.1f | %td |\n", what, seconds,
              100 * (cpu_of(daemon) - cpu) / wall, came_back, joins[joins.size() / 2], joins.back(),
              failed);
  std::fflush(stdout);
}

} // namespace

int main(int argc, char** argv) {
  const int seconds = argc > 1 ? std::atoi(argv[1]) : 60;
  std::signal(SIGPIPE, SIG_IGN);
  std::string folder = (std::filesystem::temp_directory_path() / "skippipe-gate-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr || seconds < 1)
    return 2;
  auto ca = runtime::security::authority::create(folder + "/keys", "bench", std::chrono::days{2});
  ca.issue("daemon", {}, std::chrono::days{1});
  ca.issue("peer", {}, std::chrono::days{1});
  int ready[2];
  if (::pipe(ready) != 0)
    return 1;
  const pid_t daemon = ::fork();
  if (daemon == 0)
    serve(files_of(ca, "daemon"), ready[1]);
  std::uint16_t port = 0;
  if (::read(ready[0], &port, sizeof port) != sizeof port)
    return 1;
  runtime::gate::raise_open_files();
  runtime::gate::gate_options options;
  options.files = files_of(ca, "peer");
  runtime::gate::gate peer(std::move(options));
  if (!peer.start().empty())
    return 1;
  std::printf("| strangers | seconds | CPU of the daemon | came back | join ms, median | worst | "
              "not joined |\n|---|---|---|---|---|---|---|\n");
  measure("none", std::min(seconds, 10), 0, false, daemon, port, peer);
  measure("1,000 held", seconds, 1000, false, daemon, port, peer);
  measure("1,000, back every second", seconds, 1000, true, daemon, port, peer);
  peer.stop();
  ::kill(daemon, SIGKILL);
  ::waitpid(daemon, nullptr, 0);
  std::filesystem::remove_all(folder);
}
