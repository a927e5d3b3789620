#include "runtime/trace/run_trace.hpp"

#include <algorithm>
#include <limits>
#include <set>

namespace skippipe::runtime {

namespace fs = std::filesystem;

namespace {

struct tagged_event {
  trace::event e;
  std::uint64_t session;
};

std::vector<fs::path> trace_files(const fs::path& run_dir) {
  std::set<fs::path> files; // sorted, so that equal times keep one order
  std::error_code err;
  for (const auto& entry : fs::directory_iterator(run_dir / "trace", err)) {
    auto path = entry.path();
    if (path.extension() == ".1") // after a crash between rotation and the new file
      path.replace_extension();
    if (path.extension() == ".trace")
      files.insert(path);
  }
  return {files.begin(), files.end()};
}

void warn_of_damage(const fs::path& file, const trace::trace_data& data, run_trace& run) {
  const auto name = file.filename().string();
  if (data.overwritten > 0)
    run.warnings.push_back(name + ": " + std::to_string(data.overwritten)
                           + " events were lost to a full buffer or disk");
  if (data.damaged_blocks > 0)
    run.warnings.push_back(name + ": " + std::to_string(data.damaged_blocks)
                           + " damaged blocks were left out");
  if (data.unread_bytes > 0)
    run.warnings.push_back(name + ": ends in an unfinished block ("
                           + std::to_string(data.unread_bytes) + " bytes left out)");
}

// Times beyond this come from damage; without them no difference of two times overflows.
constexpr std::int64_t sane_ns = std::int64_t{1} << 61; // 73 years

void add_file(const fs::path& file, const trace::trace_data& data, run_trace& run,
              std::vector<tagged_event>& out) {
  std::size_t insane = 0;
  for (const auto& s : data.segments) {
    run.names[s.info.node] = s.info.name;
    run.clock_uncertainty_ns = std::max(run.clock_uncertainty_ns, s.info.clock_uncertainty_ns);
    for (std::size_t i = s.first; i < s.first + s.count; ++i) {
      auto e = data.events[i];
      const bool overflow = __builtin_add_overflow(e.time_ns, s.info.clock_offset_ns, &e.time_ns);
      if (overflow || e.time_ns > sane_ns || e.time_ns < -sane_ns)
        ++insane;
      else
        out.push_back({e, s.info.session});
    }
  }
  if (insane > 0)
    run.warnings.push_back(file.filename().string() + ": " + std::to_string(insane)
                           + " events with impossible times were left out");
}

// Sessions whose clocks begin anew (virtual time, a reboot) are laid one behind the other.
void separate_sessions(std::vector<tagged_event>& events) {
  std::map<std::uint64_t, std::pair<std::int64_t, std::int64_t>> spans;
  for (const auto& [e, session] : events) {
    auto [it, fresh] = spans.try_emplace(session, e.time_ns, e.time_ns);
    it->second.first = std::min(it->second.first, e.time_ns);
    it->second.second = std::max(it->second.second, e.time_ns);
  }
  constexpr std::int64_t gap_ns = 1'000'000;
  std::map<std::uint64_t, std::int64_t> shifts;
  std::int64_t end = std::numeric_limits<std::int64_t>::min();
  for (const auto& [session, span] : spans) {
    std::int64_t shift = 0;
    if (span.first <= end && end - span.first + gap_ns + span.second < 2 * sane_ns)
      shift = end - span.first + gap_ns;
    shifts[session] = shift;
    end = span.second + shift;
  }
  for (auto& [e, session] : events)
    e.time_ns += shifts[session];
}

} // namespace

std::string run_trace::name(node_id node) const {
  const auto it = names.find(node);
  if (it != names.end())
    return it->second;
  return node == trace::no_node ? "scheduler" : "node " + std::to_string(node);
}

run_trace_result load_run_trace(const fs::path& run_dir, const trace::event_filter& filter) {
  run_trace run;
  run.dir = run_dir;
  std::error_code err;
  if (!fs::is_directory(run_dir, err))
    return run_dir.string() + ": no such run folder";
  const auto files = trace_files(run_dir);
  if (files.empty())
    return run_dir.string() + ": holds no trace (expected trace/NODE.trace in it)";
  std::vector<tagged_event> events;
  std::string problem;
  for (const auto& file : files) {
    auto result = trace::read_trace_file(file, filter);
    if (const auto* line = std::get_if<std::string>(&result)) {
      problem = *line;
      run.warnings.push_back(*line);
      continue;
    }
    const auto& data = std::get<trace::trace_data>(result);
    warn_of_damage(file, data, run);
    add_file(file, data, run, events);
  }
  if (run.names.empty())
    return problem.empty() ? run_dir.string() + ": its trace files are empty" : problem;

  separate_sessions(events);
  // Every session counts its evaluations from 1; they stand for no iterations.
  std::map<std::pair<iteration_no, bool>, std::uint64_t> last_session;
  const auto newest_of = [&](const trace::event& e) -> std::uint64_t& {
    return last_session[{e.iteration, e.evaluation != 0}];
  };
  for (const auto& [e, session] : events)
    newest_of(e) = std::max(newest_of(e), session);
  run.events.reserve(events.size());
  for (const auto& [e, session] : events)
    if (e.iteration == 0 || session == newest_of(e))
      run.events.push_back(e);
  std::stable_sort(run.events.begin(), run.events.end(),
                   [](const auto& a, const auto& b) { return a.time_ns < b.time_ns; });
  return run;
}

std::variant<fs::path, std::string> newest_run(const fs::path& runs) {
  fs::path best;
  fs::file_time_type best_time;
  std::error_code err;
  for (const auto& entry : fs::directory_iterator(runs, err))
    for (const auto& file : trace_files(entry.path())) {
      std::error_code gone;
      const auto time = fs::last_write_time(file, gone);
      if (!gone && (best.empty() || time > best_time)) {
        best = entry.path();
        best_time = time;
      }
    }
  if (best.empty())
    return runs.string() + "/ holds no run with a trace: name its folder with --run-dir";
  return best;
}

std::string ranges_text(const std::vector<std::uint64_t>& numbers, std::size_t most) {
  std::string out;
  std::size_t ranges = 0;
  for (std::size_t i = 0; i < numbers.size();) {
    if (ranges == most)
      return out + " and " + std::to_string(numbers.size() - i) + " more";
    std::size_t j = i;
    while (j + 1 < numbers.size() && numbers[j + 1] == numbers[j] + 1)
      ++j;
    out += (ranges > 0 ? ", " : "") + std::to_string(numbers[i]);
    if (j > i)
      out += ".." + std::to_string(numbers[j]);
    i = j + 1;
    ++ranges;
  }
  return out.empty() ? "none" : out;
}

std::vector<std::uint64_t> iterations_of(const run_trace& run) {
  std::set<std::uint64_t> found;
  for (const auto& e : run.events)
    if (e.iteration != 0 && e.evaluation == 0)
      found.insert(e.iteration);
  return {found.begin(), found.end()};
}

std::string missing_iteration(const run_trace& run, iteration_no iteration) {
  const auto missing = "iteration " + std::to_string(iteration) + " is not in the trace of ";
  if (!run.title.empty())
    return missing + run.title + "; `skippipe trace show` lists those that are";
  // The caller may have loaded one iteration only: look at all of them for the message.
  const auto all = load_run_trace(run.dir);
  const auto* whole = std::get_if<run_trace>(&all);
  return missing + run.dir.string() + ": it holds iterations "
         + ranges_text(iterations_of(whole != nullptr ? *whole : run));
}

} // namespace skippipe::runtime
