#include "actors/trace/event.hpp"

#include <array>

namespace skippipe::trace {

namespace {

constexpr std::array<std::string_view, event_kinds> kind_names = {"iteration_started",
                                                                  "plan_received",
                                                                  "planned",
                                                                  "queued",
                                                                  "started",
                                                                  "computed",
                                                                  "sent",
                                                                  "received",
                                                                  "freed",
                                                                  "credit_granted",
                                                                  "credit_received",
                                                                  "reduce_started",
                                                                  "reduce_sent",
                                                                  "reduce_received",
                                                                  "reduced",
                                                                  "norms_reported",
                                                                  "commit_sent",
                                                                  "commit_received",
                                                                  "step_started",
                                                                  "step_done",
                                                                  "snapshot_started",
                                                                  "snapshot_done",
                                                                  "dropped",
                                                                  "lost",
                                                                  "peer_lost"};

constexpr std::array<std::string_view, reasons> reason_names = {
    "none",       "stale_attempt",     "stale_plan",
    "stale_term", "stale_incarnation", "stale_iteration",
    "duplicate",  "unexpected",        "malformed",
    "deadline",   "peer_gone",         "cancelled"};

} // namespace

std::string_view to_string(event_kind kind) {
  const auto i = static_cast<std::size_t>(kind);
  return i < kind_names.size() ? kind_names[i] : "unknown";
}

std::string_view to_string(reason why) {
  const auto i = static_cast<std::size_t>(why);
  return i < reason_names.size() ? reason_names[i] : "unknown";
}

std::string_view to_string(scheduler::task_kind task) {
  switch (task) {
    case scheduler::task_kind::forward:
      return "F";
    case scheduler::task_kind::loss:
      return "L";
    case scheduler::task_kind::backward:
      return "B";
  }
  return "?";
}

bool well_formed(const event& e) {
  return static_cast<std::uint8_t>(e.kind) < event_kinds
         && static_cast<std::uint8_t>(e.why) < reasons && e.task <= scheduler::task_kind::backward
         && e.evaluation <= 1;
}

} // namespace skippipe::trace
