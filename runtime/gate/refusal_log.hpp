// One line for each kind of stranger, however often he knocks.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace skippipe::runtime::gate {

/// Logs the first refusal of a source for a reason at once; repetitions are counted and summed up in
/// one line per `interval`.
class refusal_log {
public:
  using clock = std::chrono::steady_clock;

  refusal_log(std::function<void(std::string_view)> log, clock::duration interval)
      : log_(std::move(log)), interval_(interval) {}

  void refuse(const std::string& source, std::string_view reason, clock::time_point now);
  /// Sums up what is due. Call now and then.
  void sum_up(clock::time_point now);

private:
  struct repetition {
    clock::time_point since;
    std::uint64_t unsaid = 0;
  };
  /// Sources are an attacker's to choose; beyond so many, a refusal is counted but not remembered.
  static constexpr std::size_t most_kinds = 1024;

  std::function<void(std::string_view)> log_;
  const clock::duration interval_;
  std::map<std::pair<std::string, std::string>, repetition> kinds_;
  std::uint64_t others_ = 0;
};

} // namespace skippipe::runtime::gate
