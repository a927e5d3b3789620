#include "runtime/daemon/link_probe.hpp"

#include <algorithm>
#include <cstring>
#include <system_error>

namespace skippipe::runtime::daemon {

namespace {

using steady = std::chrono::steady_clock;
using transport::buffer;

constexpr std::size_t first_payload = 64 * 1024;
constexpr unsigned growth = 4, most_pings = 6;

enum class word : std::uint8_t { question = 'q', answer = 'a' };

std::vector<std::byte> header_of(word what, std::uint64_t number) {
  std::vector<std::byte> header(1 + sizeof number);
  header[0] = static_cast<std::byte>(what);
  std::memcpy(header.data() + 1, &number, sizeof number);
  return header;
}

bool read(std::span<const std::byte> header, word& what, std::uint64_t& number) {
  if (header.size() != 1 + sizeof number)
    return false;
  what = static_cast<word>(header[0]);
  std::memcpy(&number, header.data() + 1, sizeof number);
  return what == word::question || what == word::answer;
}

double since(steady::time_point begin) {
  return std::chrono::duration<double>(steady::now() - begin).count();
}

} // namespace

/// Callbacks of the endpoint: answers at once, and tells the waiting thread of answers.
class link_probe::answers final : public transport::handler {
public:
  answers(transport::endpoint& endpoint, std::uint64_t most_bytes)
      : endpoint_(endpoint), most_bytes_(most_bytes) {}

  buffer place(transport::peer_id, std::span<const std::byte> header, std::size_t size,
               const buffer*) override {
    word what{};
    std::uint64_t number = 0;
    if (!read(header, what, number) || what != word::question || size > most_bytes_)
      return {};
    return buffer::allocate(size);
  }

  void on_message(transport::peer_id from, std::span<const std::byte> header, buffer) override {
    word what{};
    std::uint64_t number = 0;
    if (!read(header, what, number))
      return;
    if (what == word::question) {
      endpoint_.send(from, header_of(word::answer, number), {}, {});
      return;
    }
    const std::lock_guard guard{mutex_};
    if (from == peer_ && number == wanted_)
      arrived_ = true;
    changed_.notify_all();
  }

  void on_peer_lost(transport::peer_id peer, std::error_code) override { failed(peer); }

  void failed(transport::peer_id peer) {
    const std::lock_guard guard{mutex_};
    if (peer == peer_)
      lost_ = true;
    changed_.notify_all();
  }

  void expect(transport::peer_id peer, std::uint64_t number) {
    const std::lock_guard guard{mutex_};
    peer_ = peer;
    wanted_ = number;
    arrived_ = lost_ = false;
  }

  bool wait(std::chrono::nanoseconds patience) {
    std::unique_lock guard{mutex_};
    changed_.wait_for(guard, patience, [this] { return arrived_ || lost_; });
    return arrived_;
  }

private:
  transport::endpoint& endpoint_;
  const std::uint64_t most_bytes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_:
  transport::peer_id peer_ = 0;
  std::uint64_t wanted_ = 0;
  bool arrived_ = false, lost_ = false;
};

link_probe::link_probe(std::unique_ptr<transport::endpoint> endpoint, std::uint64_t most_bytes)
    : answers_(std::make_shared<answers>(*endpoint, most_bytes)), endpoint_(std::move(endpoint)) {
  if (const auto problem = endpoint_->listen(*answers_))
    throw std::system_error(problem, "listen");
}

link_probe::~link_probe() { endpoint_->close(); }

void link_probe::connect(transport::peer_id peer, const transport::address& where) {
  endpoint_->connect(peer, where);
}

double link_probe::round_trip(transport::peer_id peer, std::size_t payload,
                              std::chrono::nanoseconds patience) {
  buffer bytes;
  if (payload > 0) {
    bytes = buffer::allocate(payload);
    std::memset(bytes.data(), 0, payload);
  }
  answers_->expect(peer, ++number_);
  const auto begin = steady::now();
  endpoint_->send(
      peer, header_of(word::question, number_), std::move(bytes),
      [heard = answers_, peer](std::error_code problem) {
        if (problem)
          heard->failed(peer);
      },
      patience);
  return answers_->wait(patience) ? since(begin) : -1;
}

probe_outcome link_probe::measure(transport::peer_id peer, const probe_limits& limits,
                                  std::chrono::nanoseconds patience) {
  probe_outcome result;
  const auto begin = steady::now();
  double shortest = -1;
  for (unsigned i = 0; i < most_pings; ++i) {
    // The first one makes the connection.
    const double took = round_trip(peer, 0, patience);
    if (took < 0) {
      result.error = "no answer";
      return result;
    }
    if (i > 0)
      shortest = shortest < 0 ? took : std::min(shortest, took);
    if (i > 0 && since(begin) > 0.3 * limits.seconds)
      break;
  }
  result.figures.latency_s = shortest / 2;
  for (std::uint64_t size = std::min<std::uint64_t>(first_payload, limits.bytes); size > 0;) {
    const double took = round_trip(peer, size, patience);
    if (took < 0) {
      result.error = "payloads do not get through";
      return result;
    }
    result.bytes += size;
    // What is not the round trip; on a link so fast that hardly anything is left, a tenth.
    result.figures.bandwidth_Bps =
        static_cast<double>(size) / std::max({took - shortest, took / 10, 1e-9});
    const auto left = limits.bytes - result.bytes;
    const auto next = std::min<std::uint64_t>(growth * size, left);
    const bool fits =
        since(begin) + static_cast<double>(next) / result.figures.bandwidth_Bps < limits.seconds;
    if (next < size || !fits)
      break;
    size = next;
  }
  return result;
}

} // namespace skippipe::runtime::daemon
