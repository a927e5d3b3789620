// All-reduce between processes over ucx, as the reducer does it (direct reduce-scatter and all-gather, sums
// in replica order), against the bound 2 (n-1)/n * bytes / bandwidth. The bandwidth is measured in the
// same run: from one process to another alone, and per process while all send to all, which is what
// they share on one machine.
//   bench_allreduce [ROUNDS (9) [MIB (64)]]
#include "bench/transport_pair.hpp"

#include "transport/ucx/ucx.hpp"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pthread.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace skippipe::bench;
using namespace skippipe::transport;

namespace {

constexpr unsigned most_replicas = 8;

/// Memory of all processes.
struct meeting_place {
  pthread_barrier_t barrier;
  std::size_t sizes[most_replicas];
  std::byte addresses[most_replicas][4096];
};

enum class step : unsigned char { scatter, gather, flood };

void must(bool holds) {
  if (!holds)
    std::abort();
}

class replica final : public handler {
public:
  replica(meeting_place& place, unsigned rank, unsigned n, std::size_t floats)
      : place_(place), rank_(rank), n_(n), shard_(floats / n), values_(floats), result_(floats),
        parts_(n, std::vector<float>(floats / n)) {
    for (std::size_t i = 0; i < floats; ++i)
      values_[i] = static_cast<float>(i % 1000 + rank);
    ucx_options options;
    options.self = rank;
    self_ = make_ucx_endpoint(options);
    must(!self_->listen(*this));
    const address mine = self_->local_address();
    must(mine.size() <= sizeof place.addresses[rank]);
    std::memcpy(place.addresses[rank], mine.data(), mine.size());
    place.sizes[rank] = mine.size();
    meet();
    for (unsigned peer = 0; peer < n; ++peer)
      if (peer != rank) {
        const std::byte* at = place.addresses[peer];
        self_->connect(peer, {at, at + place.sizes[peer]}, [this](std::error_code code) {
          must(!code);
          count(connected_);
        });
      }
    wait(connected_, n - 1);
    meet();
  }

  /// Seconds until every replica has the sums.
  double reduce() {
    gathered_ = scattered_ = sent_ = 0;
    const auto start = begin();
    for (unsigned peer = 0; peer < n_; ++peer)
      send(peer, step::scatter, values_.data() + peer * shard_);
    wait(scattered_, n_ - 1);
    float* const mine = result_.data() + rank_ * shard_;
    for (unsigned from = 0; from < n_; ++from) {
      const float* part = from == rank_ ? values_.data() + rank_ * shard_ : parts_[from].data();
      for (std::size_t i = 0; i < shard_; ++i)
        mine[i] = from == 0 ? part[i] : mine[i] + part[i];
    }
    for (unsigned peer = 0; peer < n_; ++peer)
      send(peer, step::gather, mine);
    wait(gathered_, n_ - 1);
    wait(sent_, 2 * (n_ - 1));
    return end(start);
  }

  /// The same bytes, twice a shard to every other one, without any order between them.
  double flood() {
    scattered_ = sent_ = 0;
    const auto start = begin();
    for (int twice = 0; twice < 2; ++twice)
      for (unsigned peer = 0; peer < n_; ++peer)
        send(peer, step::flood, values_.data() + peer * shard_);
    wait(scattered_, 2 * (n_ - 1));
    wait(sent_, 2 * (n_ - 1));
    return end(start);
  }

  void check() const {
    for (std::size_t i = 0; i < result_.size(); i += 997)
      must(result_[i] == static_cast<float>(n_ * (i % 1000) + n_ * (n_ - 1) / 2));
  }
  void close() {
    meet();
    self_->close();
  }

private:
  void meet() { pthread_barrier_wait(&place_.barrier); }
  clock_type::time_point begin() {
    meet();
    return clock_type::now();
  }
  double end(clock_type::time_point start) {
    meet();
    return seconds_since(start);
  }
  void count(unsigned& what) {
    const std::lock_guard guard(mutex_);
    ++what;
    changed_.notify_all();
  }
  void wait(const unsigned& what, unsigned wanted) {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [&] { return what >= wanted; });
  }
  void send(unsigned peer, step s, float* from) {
    if (peer == rank_)
      return;
    auto* bytes = reinterpret_cast<std::byte*>(from);
    self_->send(peer, {static_cast<std::byte>(s)}, {nullptr, bytes, shard_ * sizeof(float)},
                [this](std::error_code code) {
                  must(!code);
                  count(sent_);
                });
  }
  buffer place(peer_id from, std::span<const std::byte> header, std::size_t size,
               const buffer*) override {
    float* const to = static_cast<step>(header[0]) == step::gather ? result_.data() + from * shard_
                                                                   : parts_[from].data();
    return {nullptr, reinterpret_cast<std::byte*>(to), size};
  }
  void on_message(peer_id, std::span<const std::byte> header, buffer) override {
    count(static_cast<step>(header[0]) == step::gather ? gathered_ : scattered_);
  }
  void on_peer_lost(peer_id, std::error_code) override {}

  meeting_place& place_;
  const unsigned rank_, n_;
  const std::size_t shard_;
  std::vector<float> values_, result_;
  std::vector<std::vector<float>> parts_;
  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned connected_ = 0, scattered_ = 0, gathered_ = 0, sent_ = 0;
  std::unique_ptr<endpoint> self_;
};

void bench(unsigned n, std::size_t bytes, int rounds) {
  auto* place = static_cast<meeting_place*>(::mmap(
      nullptr, sizeof(meeting_place), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  must(place != MAP_FAILED);
  pthread_barrierattr_t shared;
  pthread_barrierattr_init(&shared);
  pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
  pthread_barrier_init(&place->barrier, &shared, n);
  two_processes alone({"ucx", [](peer_id id) {
                         ucx_options options;
                         options.self = id;
                         return make_ucx_endpoint(options);
                       }});
  unsigned rank = 0;
  std::vector<pid_t> children;
  for (unsigned r = 1; r < n && rank == 0; ++r) {
    const pid_t child = ::fork();
    if (child == 0)
      rank = r;
    else
      children.push_back(child);
  }
  replica self(*place, rank, n, bytes / sizeof(float) / n * n);
  if (rank == 0)
    alone.connect();
  std::vector<double> reduce, flood, pair;
  for (int i = 0; i < rounds + 1; ++i) { // the first one warms up
    reduce.push_back(self.reduce());
    self.check();
    flood.push_back(self.flood());
    if (rank == 0)
      pair.push_back(alone.bandwidth(bytes / n, 16, 2));
  }
  self.close();
  if (rank != 0)
    ::_exit(0);
  for (const pid_t child : children)
    ::waitpid(child, nullptr, 0);
  for (auto* times : {&reduce, &flood, &pair})
    times->erase(times->begin());
  const double mib_moved = 2.0 * (n - 1) / n * static_cast<double>(bytes) / mib;
  const double t = median(reduce), alone_s = mib_moved / median(pair), shared_s = median(flood);
  std::printf("| %u | %.0f | %.1f | %.0f | %.1f | %.2f | %.1f | %.2f |\n", n,
              static_cast<double>(bytes) / mib, t * 1e3, median(pair), alone_s * 1e3, alone_s / t,
              shared_s * 1e3, shared_s / t);
  std::fflush(stdout);
}

} // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 9;
  const std::size_t bytes = (argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 64) << 20;
  std::printf(
      "| replicas | MiB | all-reduce ms | a pair alone MiB/s | bound by it ms | share | the "
      "same bytes at once ms | share |\n|---|---|---|---|---|---|---|---|\n");
  std::fflush(stdout);
  for (const unsigned n : {2u, 4u})
    bench(n, bytes, rounds);
  return 0;
}
