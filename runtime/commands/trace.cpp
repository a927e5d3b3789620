// skippipe trace: what a run's trace tells.
#include "runtime/cli.hpp"
#include "runtime/commands/cluster_option.hpp"
#include "runtime/daemon/trace_client.hpp"
#include "runtime/trace/commands.hpp"

#include <cstdlib>
#include <iostream>
#include <memory>

namespace skippipe::runtime {

namespace {

/// Where the trace is: in a folder here, or at the scheduler of a cluster.
struct source_words {
  trace_source source;
  daemon::cluster_words cluster;
  std::string job;

  bool is_elsewhere() const {
    const char* known = std::getenv("SKIPPIPE_CLUSTER");
    return source.run_dir.empty()
           && (!cluster.cluster.empty() || !job.empty() || (known != nullptr && *known != 0));
  }
};

void add_source(CLI::App& command, source_words& words) {
  auto* folder = command.add_option("--run-dir", words.source.run_dir,
                                    "The run's folder (default: the newest in runs/)");
  command.add_flag("--json", words.source.json, "Print JSON");
  add_cluster_options(command, words.cluster);
  command.get_option("--cluster")->excludes(folder);
  command
      .add_option("--job", words.job,
                  "A job of the cluster (default: the one that runs, or ran last)")
      ->excludes(folder);
}

/// Calls `run` with a source on this machine: fetches what `filter` keeps (none: of the newest
/// iterations) where the trace is elsewhere.
template <class Run>
int with_trace(const source_words& words, const std::optional<trace::event_filter>& filter,
               Run run) {
  auto source = words.source;
  if (!words.is_elsewhere())
    return run(source);
  daemon::client cluster{words.cluster};
  const auto fetched = filter ? daemon::fetched_trace{cluster, words.job, *filter}
                              : daemon::fetched_trace::newest(cluster, words.job);
  source.run_dir = fetched.folder();
  source.title = fetched.title();
  source.chosen = words.job.empty();
  return run(source);
}

trace::event_filter only(const std::optional<iteration_no>& iteration) {
  return iteration ? trace::event_filter{*iteration, *iteration} : trace::event_filter{};
}

CLI::Validator counted_from_1() {
  return CLI::Validator(
      [](const std::string& text) {
        const auto range = parse_iterations(text);
        return range && range->first == range->last
                   ? std::string()
                   : "expected an iteration, counted from 1, got '" + text + "'";
      },
      "");
}

void add_show(CLI::App& trace, command_context& context) {
  struct values {
    source_words source;
    trace_selection selection;
  };
  auto* show =
      trace.add_subcommand("show", "The story of a microbatch; without one, what the trace holds");
  auto v = std::make_shared<values>();
  auto* microbatch =
      show->add_option("MICROBATCH", v->selection.microbatch, "Its number, counted from 0");
  show->add_option("--iteration", v->selection.iteration, "The iteration, counted from 1")
      ->check(counted_from_1());
  microbatch->needs("--iteration");
  add_source(*show, v->source);
  show->callback([&context, v] {
    context.run = [v] {
      return with_trace(v->source, only(v->selection.iteration), [&](const trace_source& source) {
        return trace_show(source, v->selection, {std::cout, std::cerr});
      });
    };
  });
}

void add_explain(CLI::App& trace, command_context& context) {
  struct values {
    source_words source;
    iteration_no iteration = 0;
  };
  auto* explain = trace.add_subcommand("explain", "Where the time of an iteration went");
  auto v = std::make_shared<values>();
  explain->add_option("ITERATION", v->iteration, "Counted from 1")
      ->required()
      ->check(counted_from_1());
  add_source(*explain, v->source);
  explain->callback([&context, v] {
    context.run = [v] {
      return with_trace(v->source, only(v->iteration), [&](const trace_source& source) {
        return trace_explain(source, v->iteration, {std::cout, std::cerr});
      });
    };
  });
}

void add_export(CLI::App& trace, command_context& context) {
  struct values {
    source_words source;
    trace_export_options options;
  };
  auto* exporting = trace.add_subcommand("export", "Write the trace for another program");
  auto v = std::make_shared<values>();
  exporting->add_option("--format", v->options.format,
                        "chrome (default), for chrome://tracing and Perfetto");
  exporting->add_option("--out", v->options.out_file, "The file to write")->required();
  exporting->add_option("--iteration", v->options.iterations,
                        "Which ones: A or A..B, counted from 1 (default: all)");
  add_source(*exporting, v->source);
  exporting->callback([&context, v] {
    context.run = [v] {
      // An impossible range is refused before anything is fetched.
      const auto filter = filter_of(v->options);
      if (!filter)
        return trace_export(v->source.source, v->options, {std::cout, std::cerr});
      return with_trace(v->source, filter, [&](const trace_source& source) {
        return trace_export(source, v->options, {std::cout, std::cerr});
      });
    };
  });
}

void add_stuck(CLI::App& trace, command_context& context) {
  struct values {
    source_words source;
    std::optional<iteration_no> iteration;
  };
  auto* stuck = trace.add_subcommand(
      "stuck", "Which microbatches do not get on, and where they are: those quiet "
               "for three times as long as any in the iteration before, and "
               "for two seconds at least");
  auto v = std::make_shared<values>();
  stuck->add_option("--iteration", v->iteration, "Counted from 1 (default: the newest)")
      ->check(counted_from_1());
  add_source(*stuck, v->source);
  stuck->callback([&context, v] {
    context.run = [v] {
      const auto filter = v->iteration ? std::optional{only(v->iteration)} : std::nullopt;
      return with_trace(v->source, filter, [&](const trace_source& source) {
        return trace_stuck(source, v->iteration.value_or(0), {std::cout, std::cerr});
      });
    };
  });
}

void add_follow(CLI::App& trace, command_context& context) {
  struct values {
    daemon::cluster_words cluster;
    daemon::follow_words follow;
  };
  auto* follow = trace.add_subcommand("follow", "Events of a running job as they come");
  auto v = std::make_shared<values>();
  auto& wanted = v->follow.wanted;
  add_cluster_options(*follow, v->cluster);
  follow->add_option("--job", wanted.job, "The job's id (default: the one that runs)");
  follow->add_option("--microbatch", wanted.microbatch, "Only of this microbatch");
  follow->add_option("--iteration", wanted.iteration, "Only of this iteration, counted from 1")
      ->check(counted_from_1());
  follow->add_option("--node", wanted.node, "Only of the node with this name");
  follow->add_flag("--json", v->follow.json, "A JSON object per event");
  follow->callback([&context, v] {
    context.run = [v] { return daemon::follow_trace(v->cluster, v->follow, std::cout, std::cerr); };
  });
}

} // namespace

void add_trace(CLI::App& app, command_context& context) {
  auto* trace = app.add_subcommand("trace", "What happened to every microbatch, and why");
  trace->require_subcommand(1);
  add_show(*trace, context);
  add_explain(*trace, context);
  add_export(*trace, context);
  add_stuck(*trace, context);
  add_follow(*trace, context);
}

} // namespace skippipe::runtime
