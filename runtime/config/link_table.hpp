// Latencies and bandwidths between locations, for emulated networks.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace skippipe::runtime {

struct link_speed {
  double latency_s = 0;
  double bandwidth_Bps = 0; ///< Greater than 0.
};

/// A JSON file: `locations` (names), `latency_ms` and `bandwidth_MBps` (row: from, column: to), and where
/// concurrent sends of a node share its interface, `interface_MBps`: one number, or one per location.
class link_table {
public:
  /// Throws std::runtime_error with one line.
  explicit link_table(const std::filesystem::path& file);

  bool knows(const std::string& location) const;
  /// Both must be known.
  link_speed between(const std::string& from, const std::string& to) const;
  /// What all sends of a node at `location`, which must be known, share; 0: each has its link for itself.
  double interface_Bps(const std::string& location) const;
  const std::vector<std::string>& locations() const { return locations_; }

private:
  std::size_t index(const std::string& location) const;
  std::vector<std::string> locations_;
  std::vector<link_speed> links_; ///< Row-major.
  std::vector<double> interfaces_Bps_;
};

} // namespace skippipe::runtime
