#include "runtime/trace/chrome.hpp"

#include "runtime/trace/chrome_writer.hpp"
#include "runtime/trace/iteration_view.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <ostream>
#include <set>
#include <utility>

namespace skippipe::runtime {

using trace::event;
using trace::event_kind;

namespace {

constexpr std::int64_t blink_ns = 1'000;            // so that a moment can be seen and clicked
constexpr std::int64_t silence_ns = 10'000'000'000; // after which a run is over

// Everything is collected first: lanes are given out in the order of time.
struct pending_slice {
  std::int64_t begin;
  std::int64_t end;
  std::uint32_t process;
  lane_kind kind;
  std::string name;
  const char* category;
  std::string args;
  std::uint64_t flow = 0; ///< Not 0: a flow starts or ends at `begin`.
  bool flow_start = false;
};

const char* category_of(const event& sent) {
  switch (sent.kind) {
    case event_kind::reduce_sent:
      return "reduce";
    case event_kind::commit_sent:
      return "commit";
    default:
      return sent.task == scheduler::task_kind::backward ? "gradient" : "activation";
  }
}

std::string label(const event& e) {
  return (e.evaluation != 0 ? "eval " : "") + std::string(trace::to_string(e.task)) + " "
         + std::to_string(e.microbatch);
}

class exporter {
public:
  exporter(const run_trace& run, std::ostream& out, std::int64_t now_ns)
      : run_(run), writer_(out), events_(run.events) {
    if (!events_.empty() && now_ns - events_.back().time_ns < silence_ns)
      for (const auto& e : events_) {
        auto& newest = newest_[e.evaluation != 0 ? 1 : 0];
        newest = std::max(newest, {e.iteration, e.attempt});
      }
  }

  chrome_summary write() {
    origin_ = events_.empty() ? 0 : events_.front().time_ns;
    add_tasks();
    add_transfers();
    add_phases();
    std::stable_sort(slices_.begin(), slices_.end(),
                     [](const auto& a, const auto& b) { return a.begin < b.begin; });
    std::set<std::uint32_t> processes;
    for (const auto& s : slices_) {
      const auto thread =
          writer_.slice(s.process, s.kind, s.name, s.category, s.begin, s.end, s.args);
      if (s.flow != 0)
        writer_.flow(s.flow_start, s.category, s.flow, s.process, thread, s.begin);
      processes.insert(s.process);
    }
    for (const auto process : processes)
      writer_.name_process(process, run_.name(process));
    writer_.finish();
    summary_.slices = writer_.slices();
    return summary_;
  }

private:
  std::int64_t at(std::int64_t time_ns) const { return time_ns - origin_; }
  std::int64_t last() const { return at(events_.back().time_ns); }

  static std::string args(const event& e) {
    std::string out = "{\"iteration\":" + std::to_string(e.iteration);
    if (e.stage != trace::no_stage)
      out += ",\"stage\":" + std::to_string(e.stage);
    if (e.microbatch != trace::no_microbatch)
      out += ",\"microbatch\":" + std::to_string(e.microbatch)
             + ",\"attempt\":" + std::to_string(e.attempt);
    if (e.bytes != 0)
      out += ",\"bytes\":" + std::to_string(e.bytes);
    if (e.why != trace::reason::none)
      out += ",\"reason\":\"" + std::string(trace::to_string(e.why)) + "\"";
    return out + "}";
  }

  void add_tasks() {
    for (const auto& t : collect_tasks(events_)) {
      if (!t.started)
        continue;
      event e;
      e.iteration = t.iteration;
      e.evaluation = t.evaluation;
      e.stage = t.stage;
      e.microbatch = t.microbatch;
      e.attempt = t.attempt;
      e.task = t.kind;
      const auto end = t.computed ? at(*t.computed) : last();
      slices_.push_back({at(*t.started), end, t.node, lane_kind::compute,
                         label(e) + (t.computed ? "" : " (not ended)"), "task", args(e)});
    }
  }

  bool may_arrive(const event& sent) const {
    const auto& [iteration, attempt] = newest_[sent.evaluation != 0 ? 1 : 0];
    // Some nodes are in the next iteration before others have heard of the commit.
    if (sent.kind == event_kind::commit_sent)
      return iteration != 0 && sent.iteration + 1 >= iteration;
    return iteration != 0
           && std::pair{sent.iteration, sent.attempt} >= std::pair{iteration, attempt};
  }

  void add_transfers() {
    for (const auto& t : pair_transfers(events_)) {
      const auto begin = at(t.sent.time_ns);
      const bool arrived = t.received.has_value();
      // Clocks of two nodes differ a little: no arrow may point backwards.
      const auto end =
          std::max(begin, at(arrived ? *t.received : t.lost.value_or(last() + origin_)));
      const bool under_way = !arrived && !t.lost && may_arrive(t.sent);
      const bool reduce = t.sent.kind == event_kind::reduce_sent;
      const bool commit = t.sent.kind == event_kind::commit_sent;
      const auto* category = category_of(t.sent);
      const auto what = reduce   ? "chunk " + std::to_string(t.sent.step)
                        : commit ? std::string("commit")
                                 : label(t.sent);
      const auto side = [&](lane_kind plain) {
        return reduce ? lane_kind::reduce : commit ? lane_kind::control : plain;
      };
      slices_.push_back({begin, std::max(end, begin + blink_ns), t.sent.node, side(lane_kind::send),
                         what + " to " + run_.name(t.sent.peer), category, args(t.sent), t.id,
                         true});
      const auto receiver = arrived                         ? t.received_event.node
                            : t.sent.peer != trace::no_node ? t.sent.peer
                                                            : t.sent.node;
      auto details = arrived ? t.received_event : t.sent;
      details.why = t.why;
      slices_.push_back({end, end + blink_ns, receiver, side(lane_kind::receive),
                         arrived     ? what + " from " + run_.name(t.sent.node)
                         : under_way ? "under way"
                                     : "lost",
                         category, args(details), t.id, false});
      ++summary_.transfers;
      summary_.under_way += under_way ? 1 : 0;
      summary_.lost += arrived || under_way ? 0 : 1;
    }
  }

  // Reductions, commits, optimizer steps and snapshots: from one event to another on one node.
  void add_phases() {
    add_phase(event_kind::reduce_started, event_kind::reduced, lane_kind::reduce, "reduction");
    add_phase(event_kind::norms_reported, event_kind::commit_received, lane_kind::control,
              "waits for the commit");
    add_phase(event_kind::step_started, event_kind::step_done, lane_kind::compute, "optimizer");
    add_phase(event_kind::snapshot_started, event_kind::snapshot_done, lane_kind::control,
              "snapshot");
    for (const auto& e : events_) {
      std::string name(trace::to_string(e.kind));
      switch (e.kind) {
        case event_kind::dropped:
        case event_kind::peer_lost:
          name += e.peer != trace::no_node ? " from " + run_.name(e.peer) : "";
          [[fallthrough]];
        case event_kind::iteration_started:
        case event_kind::plan_received:
          slices_.push_back({at(e.time_ns), at(e.time_ns) + blink_ns, e.node, lane_kind::control,
                             name, "control", args(e)});
          break;
        default:
          break;
      }
    }
  }

  void add_phase(event_kind begin, event_kind end, lane_kind kind, const char* name) {
    std::map<std::pair<iteration_no, node_id>, event> open;
    for (const auto& e : events_) {
      const std::pair key{e.iteration, e.node};
      if (e.kind == begin) {
        open.insert_or_assign(key, e);
      } else if (e.kind == end) {
        const auto it = open.find(key);
        if (it == open.end())
          continue;
        slices_.push_back(
            {at(it->second.time_ns), at(e.time_ns), e.node, kind, name, name, args(it->second)});
        open.erase(it);
      }
    }
  }

  const run_trace& run_;
  chrome_writer writer_;
  const std::vector<event>& events_;
  /// Of a run that goes on, in training and evaluation.
  std::array<std::pair<iteration_no, attempt_no>, 2> newest_{};
  std::int64_t origin_ = 0;
  std::vector<pending_slice> slices_;
  chrome_summary summary_;
};

} // namespace

chrome_summary write_chrome_trace(const run_trace& run, std::ostream& out, std::int64_t now_ns) {
  return exporter(run, out, now_ns).write();
}

} // namespace skippipe::runtime
