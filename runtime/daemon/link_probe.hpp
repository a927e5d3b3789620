// Latency and bandwidth of a link, by a few messages over the data plane that a job will use.
#pragma once

#include "scheduler/cost_tracker.hpp"
#include "transport/transport.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace skippipe::runtime::daemon {

/// Of one direction of one link.
struct probe_limits {
  std::uint64_t bytes = std::uint64_t{4} << 20; ///< Of payload, all together.
  double seconds =
      0.5; ///< No further message begins after so long, once one of each kind is through.
};

struct probe_outcome {
  scheduler::link_figures figures; ///< 0: could not be measured.
  std::uint64_t bytes = 0;         ///< Sent.
  std::string error;               ///< Empty: both are known.
};

/// One node's end. Answers others by itself; measures when asked. Half the shortest round trip is the latency.
/// Payloads grow from one to the next, past a connection's slow start; the last one gives the bandwidth.
class link_probe {
public:
  /// Takes an endpoint that does not listen yet. Payloads above `most_bytes` are refused.
  link_probe(std::unique_ptr<transport::endpoint> endpoint, std::uint64_t most_bytes);
  ~link_probe();
  link_probe(const link_probe&) = delete;
  link_probe& operator=(const link_probe&) = delete;

  transport::address local_address() const { return endpoint_->local_address(); }
  void connect(transport::peer_id peer, const transport::address& where);
  /// Blocks, for `limits.seconds` and at most twice `patience` more where the peer does not answer. One at a
  /// time; not from a callback.
  probe_outcome measure(transport::peer_id peer, const probe_limits& limits,
                        std::chrono::nanoseconds patience = std::chrono::seconds{5});

private:
  class answers;
  /// Seconds until the peer's answer; negative where none came in time.
  double round_trip(transport::peer_id peer, std::size_t payload,
                    std::chrono::nanoseconds patience);

  std::shared_ptr<answers> answers_; ///< Completions may come after the end.
  std::unique_ptr<transport::endpoint> endpoint_;
  std::uint64_t number_ = 0;
};

} // namespace skippipe::runtime::daemon
