// What the scheduler's daemon has measured of its members, over jobs and sessions.
#pragma once

#include "scheduler/cost_tracker.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace skippipe::runtime::daemon {

/// Of lives of nodes, see data_plane: one that comes back may be another machine. One thread.
class profile_book {
public:
  using life_no = std::uint64_t;

  void note_tasks(life_no node, stage_id stage, const scheduler::task_costs& seconds);
  void note_link(life_no from, life_no to, const scheduler::link_figures& seen,
                 std::int64_t now_ns);
  void note_clock(life_no node, std::int64_t offset_ns, std::int64_t uncertainty_ns);
  void forget(life_no node);

  /// Measured within the last `age_s` seconds.
  bool is_fresh(life_no from, life_no to, std::int64_t now_ns, double age_s) const;
  std::optional<scheduler::link_figures> link(life_no from, life_no to) const;

  /// {"stage","forward_s","loss_s","backward_s","links","slowest":{"peer","latency_s","bandwidth_Bps"},
  /// "clock_offset_s","clock_uncertainty_s"}, what is known of it; `links` are those to `others`.
  nlohmann::json of(life_no node, const std::map<life_no, std::string>& others) const;

private:
  struct tasks {
    stage_id stage = 0;
    scheduler::task_costs seconds;
  };
  struct link_entry {
    scheduler::link_figures figures;
    std::int64_t at_ns = 0;
  };
  struct clock {
    std::int64_t offset_ns = 0, uncertainty_ns = 0;
  };
  std::map<life_no, tasks> tasks_;
  std::map<std::pair<life_no, life_no>, link_entry> links_; ///< From, to.
  std::map<life_no, clock> clocks_;
};

} // namespace skippipe::runtime::daemon
