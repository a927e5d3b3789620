// The scheduler's side of measuring links before a job starts: round by round, pair by pair.
#pragma once

#include "runtime/daemon/link_probe.hpp"
#include "runtime/daemon/probe_rounds.hpp"
#include "runtime/daemon/profile_messages.hpp"

#include <functional>
#include <set>
#include <vector>

namespace skippipe::runtime::daemon {

/// Pure but for what it calls; one thread. Both directions of a pair, one after the other.
class link_survey {
public:
  struct options {
    std::uint64_t session = 0;
    probe_limits each;   ///< Of one direction.
    double seconds = 15; ///< No round begins after so long.
    std::function<double()> now_s;
    std::function<void(node_id, probe_pair)> order;
    std::function<void(const probe_result&)> found; ///< What is measured.
    /// A round began (0: the opening); call give_up() with it when it takes too long.
    std::function<void(std::size_t round)> began;
    std::function<void()> done; ///< Last; once.
  };

  link_survey(options given, std::vector<std::vector<node_pair>> rounds);

  /// Everyone with a pair; they are to be opened by the caller.
  std::set<node_id> nodes() const;
  void start();
  void opened(const probe_opened& report);
  void take(const probe_result& report);
  void lost(node_id node);         ///< It will not answer any more.
  void give_up(std::size_t round); ///< What has not come by now will not come.

  std::uint64_t bytes() const { return bytes_; }
  double took_s() const { return took_s_; }

private:
  void next_round();
  void order(node_id from, node_id to);
  void end();

  options options_;
  std::vector<std::vector<node_pair>> rounds_;
  std::set<node_id> opening_, absent_;
  std::set<node_pair> under_way_; ///< From, to: of the running round.
  std::size_t round_ = 0;         ///< Begun.
  bool ended_ = false;
  double began_s_ = 0, took_s_ = 0;
  std::uint64_t bytes_ = 0;
};

} // namespace skippipe::runtime::daemon
