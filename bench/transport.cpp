// Bandwidth and latency of the transports between two processes, each beside its limits in the same
// run, interleaved, medians:
//   bench_transport ucx        against ucx_perftest -E sleep, same transport, sizes and window
//   bench_transport tls        against ucx_perftest, this core's AES, and AES through a bare socket
//   bench_transport sealed     the same, over ucx
//   bench_transport loopback   hand-over within the process
// Optional: rounds (5), and one payload size in bytes instead of three.
#include "bench/transport_limits.hpp"
#include "bench/transport_pair.hpp"

#include "tests/transport/certificates.hpp"
#include "transport/loopback.hpp"
#include "transport/sealed.hpp"
#include "transport/tls/tls.hpp"
#include "transport/ucx/ucx.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

using namespace skippipe::bench;
using namespace skippipe::transport;

namespace {

constexpr std::size_t window = 16;

std::size_t count_for(std::size_t size) {
  return std::clamp<std::size_t>((std::size_t{1} << 30) / size, 16, 20'000);
}

backend ucx_backend(bool checksum) {
  return {"ucx", [checksum](peer_id id) {
            ucx_options options;
            options.self = id;
            options.checksum = checksum;
            return make_ucx_endpoint(options);
          }};
}

/// -e: endpoints that report errors, as ours do; UCX then moves payloads in another way.
void bench_ucx(int rounds, const std::vector<std::size_t>& sizes) {
  two_processes checked(ucx_backend(true)), unchecked(ucx_backend(false));
  checked.connect();
  unchecked.connect();
  std::printf("| size | ucx MiB/s | CPU s/GiB | ucx_perftest -e | ratio | ucx_perftest | ratio | "
              "without checksum | ratio to -e |\n|---|---|---|---|---|---|---|---|---|\n");
  for (const std::size_t size : sizes) {
    const std::size_t count = count_for(size);
    std::vector<double> ours, bare, alike, fastest;
    for (int i = 0; i < rounds; ++i) {
      ours.push_back(checked.bandwidth(size, count, window));
      alike.push_back(perftest_mib_s(size, count, window, "-e"));
      bare.push_back(unchecked.bandwidth(size, count, window));
      fastest.push_back(perftest_mib_s(size, count, window, ""));
    }
    const double us = median(ours), b = median(bare), e = median(alike), f = median(fastest);
    std::printf("| %zu | %.0f | %.2f | %.0f | %.2f | %.0f | %.2f | %.0f | %.2f |\n", size, us,
                checked.cpu_s_per_gib, e, us / e, f, us / f, b, b / e);
    std::fflush(stdout);
  }
  std::vector<double> ours, theirs;
  for (int i = 0; i < rounds; ++i) {
    ours.push_back(checked.latency(3000));
    theirs.push_back(perftest_latency_us(3000));
  }
  std::printf("latency one way: ucx %.1f us, ucx_perftest -e %.1f us\n", median(ours),
              median(theirs));
}

/// A backend that encrypts: beside what limits it.
void bench_secret(two_processes& p, const std::string& name, const std::string& cipher, int rounds,
                  const std::vector<std::size_t>& sizes) {
  std::printf(
      "| size | %s MiB/s | CPU s/GiB | %s | ucx_perftest -e | ratio to the smaller | "
      "AES through a socket | ratio | plain socket |\n|---|---|---|---|---|---|---|---|---|\n",
      name.c_str(), cipher.c_str());
  for (const std::size_t size : sizes) {
    const std::size_t count = count_for(size);
    std::vector<double> ours, aes, alike, hidden, plain;
    for (int i = 0; i < rounds; ++i) {
      ours.push_back(p.bandwidth(size, count, window));
      aes.push_back(aes_mib_s(cipher, 16384));
      alike.push_back(perftest_mib_s(size, count, window, "-e"));
      hidden.push_back(socket_mib_s(true, size, count));
      plain.push_back(socket_mib_s(false, size, count));
    }
    const double us = median(ours), limit = std::min(median(aes), median(alike));
    std::printf("| %zu | %.0f | %.2f | %.0f | %.0f | %.2f | %.0f | %.2f | %.0f |\n", size, us,
                p.cpu_s_per_gib, median(aes), median(alike), us / limit, median(hidden),
                us / median(hidden), median(plain));
    std::fflush(stdout);
  }
  std::printf("latency one way: %s %.1f us\n", name.c_str(), p.latency(3000));
}

void bench_tls(int rounds, const std::vector<std::size_t>& sizes) {
  const testing::test_ca ca;
  const testing::key_files files = ca.issue("node");
  tls_options options;
  options.ca = files.ca;
  options.certificate = files.certificate;
  options.key = files.key;
  two_processes p({"tls", [options](peer_id id) mutable {
                     options.self = id;
                     return make_tls_endpoint(options);
                   }});
  p.connect();
  bench_secret(p, "tls", "aes-128-gcm", rounds, sizes);
}

void bench_sealed(int rounds, const std::vector<std::size_t>& sizes) {
  two_processes p({"sealed", [](peer_id id) {
                     ucx_options below;
                     below.self = id;
                     below.checksum = false; // the seal's own tag says more
                     below.bounds = limits_below_seal(below.bounds);
                     sealed_options options;
                     options.self = id;
                     options.secret.assign(32, std::byte{1});
                     return make_sealed_endpoint(make_ucx_endpoint(below), options);
                   }});
  p.connect();
  p.from_caller = true;
  bench_secret(p, "sealed", "aes-256-gcm", rounds, sizes);
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

int main(int argc, char** argv) try {
  const std::string what = argc > 1 ? argv[1] : "";
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  std::vector<std::size_t> sizes = {65536, std::size_t{1} << 20, std::size_t{16} << 20};
  if (argc > 3)
    sizes = {std::strtoull(argv[3], nullptr, 10)};
  if (what == "ucx")
    bench_ucx(rounds, sizes);
  else if (what == "tls")
    bench_tls(rounds, sizes);
  else if (what == "sealed")
    bench_sealed(rounds, sizes);
  else if (what == "loopback")
    bench_loopback(rounds);
  else {
    std::cerr << "usage: bench_transport ucx|tls|sealed|loopback [ROUNDS [SIZE]]\n";
    return 2;
  }
  return 0;
} catch (const std::exception& e) {
  std::cerr << "bench_transport: " << e.what() << "\n";
  return 1;
}
