#include "runtime/trace/commands.hpp"

#include "actors/clock.hpp"
#include "runtime/trace/chrome.hpp"
#include "runtime/trace/explain.hpp"
#include "runtime/trace/story.hpp"
#include "runtime/trace/stuck.hpp"
#include "runtime/trace/summary.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <ostream>

namespace skippipe::runtime {

namespace {

constexpr int success = 0;
constexpr int failure = 1;
constexpr int usage = 2;

int fail(trace_streams& streams, const std::string& line, int code = failure) {
  streams.err << "skippipe: " << line << "\n";
  return code;
}

void warn(trace_streams& streams, const std::vector<std::string>& lines) {
  for (const auto& line : lines)
    streams.err << "skippipe: warning: " << line << "\n";
}

/// What comes before a result: which run it is of, where nobody has named it, and what is wrong with it.
void introduce(trace_streams& streams, const run_trace& run) {
  if (run.chosen)
    streams.err << "trace of " << (run.title.empty() ? run.dir.string() : run.title) << "\n";
  warn(streams, run.warnings);
}

run_trace_result open_run(const trace_source& source, const trace::event_filter& filter) {
  auto dir = source.run_dir;
  if (dir.empty()) {
    auto newest = newest_run();
    if (auto* line = std::get_if<std::string>(&newest))
      return std::move(*line);
    dir = std::get<std::filesystem::path>(std::move(newest));
  }
  auto loaded = load_run_trace(dir, filter);
  if (auto* run = std::get_if<run_trace>(&loaded)) {
    run->title = source.title;
    run->chosen = source.chosen || source.run_dir.empty();
  }
  return loaded;
}

void put_json(trace_streams& streams, const nlohmann::ordered_json& value) {
  streams.out << value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
}

std::int64_t wall_clock_ns() { return actors::real_clock{}.now_ns(); }

} // namespace

int trace_show(const trace_source& source, const trace_selection& selection,
               trace_streams streams) {
  if (selection.microbatch && !selection.iteration)
    return fail(streams, "a microbatch is one of an iteration: name it with --iteration", usage);
  trace::event_filter filter;
  if (selection.iteration)
    filter = {*selection.iteration, *selection.iteration};
  const auto loaded = open_run(source, filter);
  if (const auto* line = std::get_if<std::string>(&loaded))
    return fail(streams, *line);
  const auto& run = std::get<run_trace>(loaded);
  const auto put = [&](const nlohmann::ordered_json& json, const std::string& text) {
    if (source.json)
      put_json(streams, json);
    else
      streams.out << text;
    return success;
  };
  if (!selection.iteration) {
    introduce(streams, run);
    const auto lines = summarize(run);
    return put(summary_json(lines), summary_text(lines));
  }
  const auto view = view_iteration(run, *selection.iteration);
  if (view.events.empty())
    return fail(streams, missing_iteration(run, *selection.iteration));
  if (!selection.microbatch) {
    introduce(streams, run);
    const auto lines = summarize(run, view);
    return put(summary_json(view, lines), summary_text(view, lines));
  }
  const auto told = tell_story(run, view, *selection.microbatch);
  if (const auto* line = std::get_if<std::string>(&told))
    return fail(streams, *line);
  introduce(streams, run);
  warn(streams, view.warnings);
  const auto& s = std::get<story>(told);
  return put(story_json(run, s), story_text(run, s));
}

int trace_explain(const trace_source& source, iteration_no iteration, trace_streams streams) {
  const auto loaded = open_run(source, {iteration, iteration});
  if (const auto* line = std::get_if<std::string>(&loaded))
    return fail(streams, *line);
  const auto& run = std::get<run_trace>(loaded);
  const auto view = view_iteration(run, iteration);
  if (view.events.empty())
    return fail(streams, missing_iteration(run, iteration));
  introduce(streams, run);
  warn(streams, view.warnings);
  const auto x = explain(run, view);
  if (source.json)
    put_json(streams, explain_json(run, x));
  else
    streams.out << explain_text(run, x);
  return success;
}

int trace_stuck(const trace_source& source, iteration_no iteration, trace_streams streams) {
  trace::event_filter filter;
  if (iteration != 0)
    filter = {iteration, iteration};
  const auto loaded = open_run(source, filter);
  if (const auto* line = std::get_if<std::string>(&loaded))
    return fail(streams, *line);
  const auto& run = std::get<run_trace>(loaded);
  const auto known = iterations_of(run);
  if (iteration != 0 && known.empty())
    return fail(streams, missing_iteration(run, iteration));
  if (known.empty())
    return fail(streams, "no iteration has begun yet");
  const auto view = view_iteration(run, known.back());
  introduce(streams, run);
  warn(streams, view.warnings);
  std::optional<iteration_view> before;
  if (known.size() > 1)
    before = view_iteration(run, known[known.size() - 2]);
  // A run that hangs or has died leaves no newer events.
  const auto now = std::max(wall_clock_ns(), run.events.back().time_ns);
  const auto report = find_stuck(run, view, before ? &*before : nullptr, now);
  if (source.json)
    put_json(streams, stuck_json(view, report));
  else
    streams.out << stuck_text(view, report);
  return success;
}

std::optional<iteration_range> parse_iterations(const std::string& text) {
  iteration_range range;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, range.first);
  if (first.ec != std::errc() || range.first == 0)
    return {};
  range.last = range.first;
  if (first.ptr == end)
    return range;
  if (end - first.ptr < 3 || first.ptr[0] != '.' || first.ptr[1] != '.')
    return {};
  const auto last = std::from_chars(first.ptr + 2, end, range.last);
  if (last.ec != std::errc() || last.ptr != end || range.last < range.first)
    return {};
  return range;
}

std::optional<trace::event_filter> filter_of(const trace_export_options& options) {
  if (options.iterations.empty())
    return trace::event_filter{};
  const auto range = parse_iterations(options.iterations);
  return range ? std::optional{trace::event_filter{range->first, range->last}} : std::nullopt;
}

int trace_export(const trace_source& source, const trace_export_options& options,
                 trace_streams streams) {
  if (options.format != "chrome")
    return fail(streams, "--format: '" + options.format + "' is not known, use chrome", usage);
  const auto filter = filter_of(options);
  if (!filter)
    return fail(streams,
                "--iteration: expected A..B or A with 1 <= A <= B, got '" + options.iterations
                    + "'",
                usage);
  const auto loaded = open_run(source, *filter);
  if (const auto* line = std::get_if<std::string>(&loaded))
    return fail(streams, *line);
  const auto& run = std::get<run_trace>(loaded);
  if (run.events.empty() && !options.iterations.empty())
    return fail(streams, missing_iteration(run, filter->first));

  std::ofstream file(options.out_file, std::ios::binary | std::ios::trunc);
  if (!file)
    return fail(streams, options.out_file.string() + ": cannot write here");
  const auto summary = write_chrome_trace(run, file, wall_clock_ns());
  file.close();
  if (!file)
    return fail(streams, options.out_file.string() + ": could not be written (is the disk full?)");
  introduce(streams, run);
  if (const auto held = iterations_of(run);
      !options.iterations.empty() && held.size() <= filter->last - filter->first)
    streams.err << "skippipe: note: of iterations " << options.iterations << " the trace holds "
                << ranges_text(held) << ": these are exported\n";
  if (source.json)
    put_json(streams, {{"file", options.out_file.string()},
                       {"slices", summary.slices},
                       {"transfers", summary.transfers},
                       {"lost", summary.lost},
                       {"under_way", summary.under_way}});
  else
    streams.out << options.out_file.string() << ": " << summary.slices << " slices, "
                << summary.transfers << " transfers, " << summary.lost << " of them lost"
                << (summary.under_way > 0
                        ? " and " + std::to_string(summary.under_way) + " under way"
                        : "")
                << "; open it in https://ui.perfetto.dev or chrome://tracing\n";
  return success;
}

} // namespace skippipe::runtime
