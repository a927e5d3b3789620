// What a session's own transfers say of its links, at no cost: every header carries when it was sent.
//
// Measured where things arrive: a completed send means that the transport no longer needs the bytes, not that
// they are there.
#pragma once

#include "actors/protocol/messages.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

namespace skippipe::runtime::daemon {

/// Thread-safe. Times in nanoseconds, the sender's by its own clock.
class link_meter {
public:
  /// The clock of both ends, each its own.
  static std::int64_t now_ns() {
    return std::chrono::steady_clock::now().time_since_epoch().count();
  }

  /// A header came, and `payload` bytes begin to come.
  void began(node_id from, std::int64_t sent_ns, std::int64_t now_ns, std::size_t payload);
  /// The message is whole.
  void ended(node_id from, std::int64_t sent_ns, std::int64_t now_ns, std::size_t payload);
  /// Of all peers that something came from since the last call.
  std::vector<actors::link_sample> take();

  /// Smaller payloads arrive within one or two reads and tell nothing of the bandwidth.
  static constexpr std::size_t least_payload = 64 * 1024;

private:
  struct transfer {
    std::int64_t began_ns = 0;
    bool alone = true; ///< Nothing else came from there meanwhile.
  };
  struct peer {
    bool seen = false;
    std::int64_t delay_ns = 0;                  ///< The shortest.
    std::map<std::int64_t, transfer> under_way; ///< By when they were sent.
    double bytes = 0, seconds = 0;
  };
  static void note_delay(peer& from, std::int64_t delay_ns);

  std::mutex mutex_;
  std::map<node_id, peer> peers_; ///< Guarded by mutex_.
};

} // namespace skippipe::runtime::daemon
