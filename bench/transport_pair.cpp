#include "bench/transport_pair.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace skippipe::bench {

using namespace transport;

namespace {

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

void write_address(int fd, const address& a) {
  const std::uint32_t size = static_cast<std::uint32_t>(a.size());
  if (::write(fd, &size, sizeof size) != sizeof size
      || ::write(fd, a.data(), size) != static_cast<ssize_t>(size))
    std::abort();
}

address read_address(int fd) {
  std::uint32_t size = 0;
  if (::read(fd, &size, sizeof size) != sizeof size)
    std::abort();
  address a(size);
  if (::read(fd, a.data(), size) != static_cast<ssize_t>(size))
    std::abort();
  return a;
}

[[noreturn]] void serve(const backend& b, int in, int out) {
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

double cpu_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

} // namespace

double seconds_since(clock_type::time_point start) {
  return std::chrono::duration<double>(clock_type::now() - start).count();
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v.empty() ? 0 : v[v.size() / 2];
}

buffer source::place(peer_id, std::span<const std::byte>, std::size_t size, const buffer*) {
  return buffer::allocate(size);
}

void source::on_message(peer_id, std::span<const std::byte>, buffer) {
  const std::lock_guard guard(mutex);
  ++answers;
  changed.notify_all();
}

two_processes::two_processes(backend b) : backend_(std::move(b)) {
  int there[2], back[2];
  if (::pipe(there) != 0 || ::pipe(back) != 0)
    std::abort();
  child_ = ::fork();
  if (child_ == 0) {
    ::close(there[1]); // else it would wait for its own end of the pipe
    serve(backend_, there[0], back[1]);
  }
  to_child_ = there[1];
  from_child_ = back[0];
}

void two_processes::connect() {
  self = backend_.make(1);
  if (self->listen(events))
    std::abort();
  write_address(to_child_, self->local_address());
  const address other = read_address(from_child_);
  bool connected = false;
  self->connect(2, other, [&](std::error_code code) {
    const std::lock_guard guard(events.mutex);
    if (code)
      std::abort();
    connected = true;
    events.changed.notify_all();
  });
  {
    std::unique_lock guard(events.mutex);
    events.changed.wait(guard, [&] { return connected; });
  }
  char ready = 0;
  if (::read(from_child_, &ready, 1) != 1)
    std::abort();
}

two_processes::~two_processes() {
  self->close();
  ::close(to_child_);
  ::close(from_child_);
  ::waitpid(child_, nullptr, 0);
}

double two_processes::bandwidth(std::size_t size, std::size_t count, std::size_t window) {
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

double two_processes::latency(std::size_t rounds) {
  std::vector<double> us;
  for (std::size_t i = 0; i < rounds; ++i) {
    const auto start = clock_type::now();
    request('L');
    us.push_back(seconds_since(start) * 1e6 / 2);
  }
  return median(us);
}

void two_processes::request(char kind) {
  std::unique_lock guard(events.mutex);
  const std::size_t wanted = events.answers + 1;
  guard.unlock();
  self->send(2, {static_cast<std::byte>(kind)}, {}, {});
  guard.lock();
  events.changed.wait(guard, [&] { return events.answers >= wanted; });
}

/// Each completion sends the next one, as ucx_perftest does: no thread waits in between. Or another
/// thread sends: what a `send` costs its caller then overlaps with the transport.
void two_processes::send_all(const buffer& payload, std::size_t count, std::size_t window) {
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

void two_processes::send_next(const buffer& payload) {
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

} // namespace skippipe::bench
