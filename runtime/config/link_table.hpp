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

/// A JSON file: `locations` (names), `latency_ms` and `bandwidth_MBps` (row: from, column: to).
class link_table {
public:
  /// Throws std::runtime_error with one line.
  explicit link_table(const std::filesystem::path& file);

  bool knows(const std::string& location) const;
  /// Both must be known.
  link_speed between(const std::string& from, const std::string& to) const;
  const std::vector<std::string>& locations() const { return locations_; }

private:
  std::size_t index(const std::string& location) const;
  std::vector<std::string> locations_;
  std::vector<link_speed> links_; ///< Row-major.
};

} // namespace skippipe::runtime
