// Bandwidth and latency of the transports between two processes, each beside its limit in the same
// run, interleaved, medians:
//   bench_transport ucx        against ucx_perftest -E sleep, same transport, sizes and window
//   bench_transport tls        against this core's AES-128-GCM (openssl speed), 16 KB blocks
//   bench_transport sealed     over ucx, against both: ucx_perftest -e and AES-256-GCM
//   bench_transport loopback   hand-over within the process
// Optional second argument: rounds (5).
#include "tests/transport/certificates.hpp"
#include "transport/loopback.hpp"
#include "transport/sealed.hpp"
#include "transport/tls/tls.hpp"
#include "transport/ucx/ucx.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <mutex>
#include <string>

using namespace skippipe::transport;

namespace {

using clock_type = std::chrono::steady_clock;
constexpr double mib = 1024.0 * 1024.0;

double seconds_since(clock_type::time_point start) {
  return std::chrono::duration<double>(clock_type::now() - start).count();
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v.empty() ? 0 : v[v.size() / 2];
}

/// The receiving process: reuses its buffers, answers a header of 'L' at once (latency), and one of
/// 'E' (end of a round) after all before it.
struct sink final : handler {
  endpoint* self = nullptr;
  std::vector<buffer> pool;
  buffer place(peer_id, std::span<const std::byte>, std::size_t size, const buffer*) override {
    for (buffer& b : pool)
      if (b.size() == size && b.owner().use_count() == 1) // nobody writes there any more
        return b;
    std::erase_if(pool, [size](const buffer& b) { return b.size() != size; });
    return pool.emplace_back(buffer::allocate(size));
  }
  void on_message(peer_id from, std::span<const std::byte> header, buffer) override {
    if (header[0] != std::byte{'D'})
      self->send(from, {header.begin(), header.end()}, {}, {});
  }
  void on_peer_lost(peer_id, std::error_code) override {}
};

struct source final : handler {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t outstanding = 0, answers = 0;
  buffer place(peer_id, std::span<const std::byte>, std::size_t size, const buffer*) override {
    return buffer::allocate(size);
  }
  void on_message(peer_id, std::span<const std::byte>, buffer) override {
    const std::lock_guard guard(mutex);
    ++answers;
    changed.notify_all();
  }
  void on_peer_lost(peer_id, std::error_code) override {}
};

struct backend {
  std::string name;
  std::function<std::unique_ptr<endpoint>(peer_id)> make;
};

/// This process and a forked one, connected.
class two_processes {
public:
  explicit two_processes(const backend& b) {
    int there[2], back[2];
    if (::pipe(there) != 0 || ::pipe(back) != 0)
      std::abort();
    child_ = ::fork();
    if (child_ == 0) {
      ::close(there[1]); // else it would wait for its own end of the pipe
      serve(b, there[0], back[1]);
    }
    self = b.make(1);
    if (self->listen(events))
      std::abort();
    write_address(there[1], self->local_address());
    const address other = read_address(back[0]);
    std::mutex m;
    std::unique_lock guard(events.mutex);
    bool connected = false;
    guard.unlock();
    self->connect(2, other, [&](std::error_code code) {
      const std::lock_guard g(events.mutex);
      if (code)
        std::abort();
      connected = true;
      events.changed.notify_all();
    });
    guard.lock();
    events.changed.wait(guard, [&] { return connected; });
    guard.unlock();
    char ready = 0;
    if (::read(back[0], &ready, 1) != 1)
      std::abort();
    stop_ = there[1];
  }
  ~two_processes() {
    self->close();
    ::close(stop_);
    ::waitpid(child_, nullptr, 0);
  }

  /// MiB/s of `count` payloads, at most `window` not completed.
  double bandwidth(std::size_t size, std::size_t count, std::size_t window) {
    const buffer payload = buffer::allocate(size);
    std::memset(payload.data(), 1, size);
    send_all(payload, window, window); // warm-up
    const auto start = clock_type::now();
    const double cpu = cpu_seconds();
    send_all(payload, count, window);
    const double total = static_cast<double>(size * count) / mib;
    cpu_s_per_gib = (cpu_seconds() - cpu) / total * 1024;
    return total / seconds_since(start);
  }

  /// Microseconds one way, half of a round trip of a small message.
  double latency(std::size_t rounds) {
    std::vector<double> us;
    for (std::size_t i = 0; i < rounds; ++i) {
      const auto start = clock_type::now();
      request('L');
      us.push_back(seconds_since(start) * 1e6 / 2);
    }
    return median(us);
  }

  std::unique_ptr<endpoint> self;
  bool from_caller = false;
  source events;
  double cpu_s_per_gib = 0; ///< Of the sending process in the last `bandwidth`.

private:
  static double cpu_seconds() {
    timespec t{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  }

  void request(char kind) {
    std::unique_lock guard(events.mutex);
    const std::size_t wanted = events.answers + 1;
    guard.unlock();
    self->send(2, {static_cast<std::byte>(kind)}, {}, {});
    guard.lock();
    events.changed.wait(guard, [&] { return events.answers >= wanted; });
  }

  /// Each completion sends the next one, as ucx_perftest does: no thread waits in between. Or, as actors
  /// do, another thread sends: what a `send` costs its caller then overlaps with the transport.
  void send_all(const buffer& payload, std::size_t count, std::size_t window) {
    if (from_caller) {
      for (std::size_t i = 0; i < count; ++i) {
        {
          std::unique_lock guard(events.mutex);
          events.changed.wait(guard, [&] { return events.outstanding < window; });
          ++events.outstanding;
        }
        self->send(2, {std::byte{'D'}}, payload, [this](std::error_code code) {
          if (code)
            std::abort();
          const std::lock_guard guard(events.mutex);
          --events.outstanding;
          events.changed.notify_all();
        });
      }
      return request('E');
    }
    left_ = count;
    for (std::size_t i = 0; i < std::min(window, count); ++i)
      send_next(payload);
    {
      std::unique_lock guard(events.mutex);
      events.changed.wait(guard, [&] { return events.outstanding == 0 && left_ == 0; });
    }
    request('E');
  }

  void send_next(const buffer& payload) {
    {
      const std::lock_guard guard(events.mutex);
      if (left_ == 0) {
        events.changed.notify_all();
        return;
      }
      --left_;
      ++events.outstanding;
    }
    self->send(2, {std::byte{'D'}}, payload, [this, payload](std::error_code code) {
      if (code)
        std::abort();
      {
        const std::lock_guard guard(events.mutex);
        --events.outstanding;
      }
      send_next(payload);
    });
  }

  [[noreturn]] static void serve(const backend& b, int in, int out) {
    sink h;
    auto self = b.make(2);
    h.self = self.get();
    if (self->listen(h))
      std::abort();
    write_address(out, self->local_address());
    self->connect(1, read_address(in), [out](std::error_code) {
      if (::write(out, "r", 1) != 1)
        std::abort();
    });
    char end = 0;
    while (::read(in, &end, 1) > 0) {
    }
    self->close();
    std::_Exit(0);
  }
  static void write_address(int fd, const address& a) {
    const std::uint32_t size = static_cast<std::uint32_t>(a.size());
    if (::write(fd, &size, sizeof size) != sizeof size
        || ::write(fd, a.data(), size) != static_cast<ssize_t>(size))
      std::abort();
  }
  static address read_address(int fd) {
    std::uint32_t size = 0;
    if (::read(fd, &size, sizeof size) != sizeof size)
      std::abort();
    address a(size);
    if (::read(fd, a.data(), size) != static_cast<ssize_t>(size))
      std::abort();
    return a;
  }

  std::size_t left_ = 0;
  pid_t child_ = 0;
  int stop_ = -1;
};

std::string output_of(const std::string& command) {
  std::string text;
  std::FILE* p = ::popen(command.c_str(), "r");
  char line[512];
  while (p != nullptr && std::fgets(line, sizeof line, p) != nullptr)
    text += line;
  if (p != nullptr)
    ::pclose(p);
  return text;
}

/// A column of ucx_perftest's last line (3: latency in us, 6: MiB/s), server and client here.
double perftest(const std::string& test, std::size_t size, std::size_t count, std::size_t window,
                int column, const std::string& mode) {
  static int port = 13500;
  const std::string common = "UCX_TLS=tcp UCX_NET_DEVICES=lo UCX_WARN_UNUSED_ENV_VARS=n "
                             "ucx_perftest -p "
                             + std::to_string(++port);
  const std::string options = " -t " + test + " -E sleep -s " + std::to_string(size) + " -n "
                              + std::to_string(count) + " -w " + std::to_string(window) + " " + mode
                              + " -O " + std::to_string(window);
  const std::string out =
      output_of("(" + common + options + " >/dev/null 2>&1 &) ; sleep 0.3; " + common + " 127.0.0.1"
                + options + " 2>/dev/null | grep Final:");
  double values[9] = {};
  if (std::sscanf(out.c_str(), "Final: %lf %lf %lf %lf %lf %lf", values + 1, values + 2, values + 3,
                  values + 4, values + 5, values + 6)
      < 4)
    return 0;
  return values[column == 3 ? 4 : 6];
}

/// MiB/s of a cipher on one core, in blocks of `size`.
double aes_limit(const std::string& cipher = "aes-128-gcm", std::size_t size = 16384) {
  const std::string out = output_of("openssl speed -evp " + cipher + " -bytes "
                                    + std::to_string(size) + " -seconds 1 2>/dev/null | tail -1");
  double thousands = 0;
  std::sscanf(out.c_str(), "%*s %lfk", &thousands);
  return thousands * 1000 / mib;
}

std::size_t count_for(std::size_t size) {
  return std::clamp<std::size_t>((std::size_t{1} << 30) / size, 16, 20'000);
}

void bench_ucx(int rounds) {
  ucx_options options;
  const backend b{"ucx", [options](peer_id id) mutable {
                    options.self = id;
                    return make_ucx_endpoint(options);
                  }};
  two_processes p(b);
  // -e: endpoints that report errors, as ours do; UCX then moves payloads in another way.
  std::printf("| size | window | ucx MiB/s | CPU s/GiB | ucx_perftest -e | ratio | ucx_perftest | "
              "ratio |\n|---|---|---|---|---|---|---|---|\n");
  for (const std::size_t size : {std::size_t{65536}, std::size_t{1} << 20, std::size_t{16} << 20}) {
    const std::size_t window = 16;
    std::vector<double> ours, alike, fastest;
    for (int i = 0; i < rounds; ++i) {
      ours.push_back(p.bandwidth(size, count_for(size), window));
      alike.push_back(perftest("ucp_am_bw", size, count_for(size), window, 6, "-e"));
      fastest.push_back(perftest("ucp_am_bw", size, count_for(size), window, 6, ""));
    }
    const double us = median(ours), e = median(alike), f = median(fastest);
    std::printf("| %zu | %zu | %.0f | %.2f | %.0f | %.2f | %.0f | %.2f |\n", size, window, us,
                p.cpu_s_per_gib, e, us / e, f, us / f);
    std::fflush(stdout);
  }
  std::vector<double> ours, theirs;
  for (int i = 0; i < rounds; ++i) {
    ours.push_back(p.latency(3000));
    theirs.push_back(perftest("ucp_am_lat", 8, 3000, 1, 3, "-e"));
  }
  std::printf("latency one way: ucx %.1f us, ucx_perftest -e %.1f us\n", median(ours),
              median(theirs));
}

void bench_tls(int rounds) {
  const testing::test_ca ca;
  const testing::key_files files = ca.issue("node");
  tls_options options;
  options.ca = files.ca;
  options.certificate = files.certificate;
  options.key = files.key;
  const backend b{"tls", [options](peer_id id) mutable {
                    options.self = id;
                    return make_tls_endpoint(options);
                  }};
  two_processes p(b);
  std::printf("| size | window | tls MiB/s | CPU s/GiB | AES-128-GCM MiB/s | ratio "
              "|\n|---|---|---|---|---|---|\n");
  for (const std::size_t size : {std::size_t{65536}, std::size_t{1} << 20, std::size_t{16} << 20}) {
    std::vector<double> ours, limit;
    for (int i = 0; i < rounds; ++i) {
      ours.push_back(p.bandwidth(size, count_for(size), 16));
      limit.push_back(aes_limit());
    }
    std::printf("| %zu | 16 | %.0f | %.2f | %.0f | %.2f |\n", size, median(ours), p.cpu_s_per_gib,
                median(limit), median(ours) / median(limit));
    std::fflush(stdout);
  }
  std::printf("latency one way: tls %.1f us\n", p.latency(3000));
}

void bench_sealed(int rounds) {
  const backend b{"sealed", [](peer_id id) {
                    ucx_options below;
                    below.self = id;
                    below.bounds = limits_below_seal(below.bounds);
                    sealed_options options;
                    options.self = id;
                    options.secret.assign(32, std::byte{1});
                    return make_sealed_endpoint(make_ucx_endpoint(below), options);
                  }};
  two_processes p(b);
  p.from_caller = true;
  std::printf("| size | window | sealed MiB/s | CPU s/GiB | ucx_perftest -e | ratio | AES-256-GCM "
              "MiB/s | ratio |\n|---|---|---|---|---|---|---|---|\n");
  for (const std::size_t size : {std::size_t{65536}, std::size_t{1} << 20, std::size_t{16} << 20}) {
    std::vector<double> ours, alike, limit;
    for (int i = 0; i < rounds; ++i) {
      ours.push_back(p.bandwidth(size, count_for(size), 16));
      alike.push_back(perftest("ucp_am_bw", size, count_for(size), 16, 6, "-e"));
      limit.push_back(aes_limit("aes-256-gcm", size));
    }
    const double us = median(ours), e = median(alike), aes = median(limit);
    std::printf("| %zu | 16 | %.0f | %.2f | %.0f | %.2f | %.0f | %.2f |\n", size, us,
                p.cpu_s_per_gib, e, us / e, aes, us / aes);
    std::fflush(stdout);
  }
  std::printf("latency one way: sealed %.1f us\n", p.latency(3000));
}

void bench_loopback(int rounds) {
  struct taker final : handler {
    buffer place(peer_id, std::span<const std::byte>, std::size_t, const buffer* b) override {
      return *b;
    }
    void on_message(peer_id, std::span<const std::byte>, buffer) override { ++got; }
    void on_peer_lost(peer_id, std::error_code) override {}
    std::size_t got = 0;
  };
  const loopback_hub hub;
  taker at_a, at_b;
  auto a = hub.make_endpoint(1), b = hub.make_endpoint(2);
  if (a->listen(at_a) || b->listen(at_b))
    std::abort();
  a->connect(2, {});
  const buffer payload = buffer::allocate(16 << 20);
  std::vector<double> ns;
  constexpr std::size_t n = 200'000;
  for (int i = 0; i < rounds; ++i) {
    const auto start = clock_type::now();
    for (std::size_t k = 0; k < n; ++k)
      a->send(2, {std::byte{'D'}}, payload, {});
    ns.push_back(seconds_since(start) * 1e9 / n);
  }
  std::printf("loopback: %.0f ns per message of 16 MiB, handed over and completed (%.2f M/s)\n",
              median(ns), 1e3 / median(ns));
}

} // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  if (what == "ucx")
    bench_ucx(rounds);
  else if (what == "tls")
    bench_tls(rounds);
  else if (what == "sealed")
    bench_sealed(rounds);
  else if (what == "loopback")
    bench_loopback(rounds);
  else {
    std::cerr << "usage: bench_transport ucx|tls|sealed|loopback [ROUNDS]\n";
    return 2;
  }
  return 0;
}
