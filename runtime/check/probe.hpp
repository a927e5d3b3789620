// Asks a seed, from outside, whether it would take us: name, port, TLS, clock, each by itself.
#pragma once

#include "runtime/config/address.hpp"

#include "transport/tls/ssl.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace skippipe::runtime {

/// What one seed answered.
struct probe_result {
  address seed;
  std::string problem;  ///< "" when all is well; else what is wrong, where and what to do.
  std::string name;     ///< Of its certificate; "" without TLS.
  double connect_s = 0; ///< The TCP handshake: about one round trip.
  /// Its clock minus ours, in seconds, and how wrong that may be; absent without TLS.
  std::optional<double> clock_offset_s, clock_uncertainty_s;
};

/// Clocks further apart than this make certificates, deadlines and traces wrong.
inline constexpr double clock_tolerance_s = 30;

/// Blocks, at most `patience` for each of the seed's addresses. Without `files`: plain TCP.
probe_result probe(const address& seed,
                   const std::optional<transport::tls::credential_files>& files,
                   std::chrono::milliseconds patience);

/// "" when this machine can listen on `at` (port 0: always), else why not.
std::string probe_listen(const address& at);

} // namespace skippipe::runtime
