// skippipe trace: what a run's trace tells.
#include "runtime/cli.hpp"
#include "runtime/trace/commands.hpp"

#include <iostream>
#include <memory>

namespace skippipe::runtime {

namespace {

void add_source(CLI::App& command, trace_source& source) {
  command.add_option("--run-dir", source.run_dir,
                     "The run's folder (default: the newest in runs/)");
  command.add_flag("--json", source.json, "Print JSON");
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
    trace_source source;
    trace_selection selection;
  };
  auto* show =
      trace.add_subcommand("show", "The story of a microbatch; without one, what the trace holds");
  auto v = std::make_shared<values>();
  auto* microbatch = show->add_option("MICROBATCH", v->selection.microbatch, "Its number");
  show->add_option("--iteration", v->selection.iteration, "The iteration, counted from 1")
      ->check(counted_from_1());
  microbatch->needs("--iteration");
  add_source(*show, v->source);
  show->callback([&context, v] {
    context.run = [v] { return trace_show(v->source, v->selection, {std::cout, std::cerr}); };
  });
}

void add_explain(CLI::App& trace, command_context& context) {
  struct values {
    trace_source source;
    iteration_no iteration = 0;
  };
  auto* explain = trace.add_subcommand("explain", "Where the time of an iteration went");
  auto v = std::make_shared<values>();
  explain->add_option("ITERATION", v->iteration, "Counted from 1")
      ->required()
      ->check(counted_from_1());
  add_source(*explain, v->source);
  explain->callback([&context, v] {
    context.run = [v] { return trace_explain(v->source, v->iteration, {std::cout, std::cerr}); };
  });
}

void add_export(CLI::App& trace, command_context& context) {
  struct values {
    trace_source source;
    trace_export_options options;
  };
  auto* exporting = trace.add_subcommand("export", "Write the trace for another program");
  auto v = std::make_shared<values>();
  exporting->add_option("--format", v->options.format, "chrome (default)");
  exporting->add_option("--out", v->options.out_file, "The file to write")->required();
  exporting->add_option("--iteration", v->options.iterations, "A..B or A (default: all)");
  add_source(*exporting, v->source);
  exporting->callback([&context, v] {
    context.run = [v] { return trace_export(v->source, v->options, {std::cout, std::cerr}); };
  });
}

} // namespace

void add_trace(CLI::App& app, command_context& context) {
  auto* trace = app.add_subcommand("trace", "What happened to every microbatch, and why");
  trace->require_subcommand(1);
  add_show(*trace, context);
  add_explain(*trace, context);
  add_export(*trace, context);
}

} // namespace skippipe::runtime
