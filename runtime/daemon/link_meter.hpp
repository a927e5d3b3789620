// What a session's own transfers say of its links, at next to no cost: every header carries when it was sent.
//
// Measured where things arrive: a completed send means that the transport no longer needs the bytes, not that
// they are there. When a payload begins to arrive is not to be seen either, as a transport may hand over its
// header with the last byte; so now and then a message of a few bytes goes ahead of one.
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

  /// At the sender: whether a message goes ahead of this payload.
  bool announces(node_id to, std::int64_t now_ns, std::size_t payload);

  /// It came; the payload was sent at the same time.
  void announced(node_id from, std::int64_t sent_ns, std::int64_t now_ns);
  /// A header came, and `payload` bytes begin to come or have come.
  void began(node_id from, std::int64_t sent_ns, std::size_t payload);
  /// The message is whole.
  void ended(node_id from, std::int64_t sent_ns, std::int64_t now_ns, std::size_t payload);
  /// Of all peers that something came from since the last call.
  std::vector<actors::link_sample> take();

  /// Smaller payloads arrive within one or two reads and tell nothing of the bandwidth.
  static constexpr std::size_t least_payload = 64 * 1024;

  static constexpr std::int64_t announce_every_ns = 50'000'000; ///< Of a peer's payloads.

private:
  struct peer {
    bool seen = false;
    std::int64_t delay_ns = 0; ///< The shortest.
    std::map<std::int64_t, bool>
        under_way;                 ///< By when they were sent: nothing else came meanwhile.
    std::int64_t announced_ns = 0; ///< When the payload of the last announcement was sent,
    std::int64_t free_ns = 0;      ///< and since when the link was free for it.
    double bytes = 0, seconds = 0;
  };
  static void note_delay(peer& from, std::int64_t delay_ns);

  std::mutex mutex_;
  std::map<node_id, peer> peers_;                     ///< Guarded by mutex_.
  std::map<node_id, std::int64_t> announce_again_ns_; ///< Guarded by mutex_.
};

} // namespace skippipe::runtime::daemon
