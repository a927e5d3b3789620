// How concurrent transfers share a network interface. Pure arithmetic on a given time.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <vector>

namespace skippipe::transport {

/// Max-min fair sharing: every transfer gets an equal share of the interface, but no more than its
/// own link carries; what it leaves goes to the others. Times in seconds, sizes in bytes.
class interface_model {
public:
  static constexpr double unlimited = std::numeric_limits<double>::infinity();

  explicit interface_model(double capacity_Bps) : capacity_(capacity_Bps) {}

  /// `now` must not go back between calls.
  void start(std::uint64_t flow, double bytes, double link_Bps, double now);
  void stop(std::uint64_t flow, double now);

  /// The flows that have ended by `now`, in the order of their ends (equal: of their names).
  std::vector<std::uint64_t> finish(double now);

  /// When the next flow ends if nothing changes; `unlimited` when there is none.
  double next_end() const;

private:
  struct state {
    double left, link, rate = 0;
  };
  void advance(double now);
  void share();

  double capacity_;
  double time_ = 0;
  std::map<std::uint64_t, state> flows_;
};

} // namespace skippipe::transport
