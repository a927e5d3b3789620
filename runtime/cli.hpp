// What every subcommand shares. Its parser takes a compiler ten seconds: only for files with options.
#pragma once

#include "runtime/command_error.hpp"
#include "runtime/output.hpp"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <functional>

namespace skippipe::runtime {

/// Takes integers from `least` on; a number's own parser would take -1 for a large one.
CLI::Validator at_least(std::uint64_t least);

/// A subcommand sets `run`; it is called once the whole line has been understood, and returns the
/// exit code.
struct command_context {
  std::function<int()> run;
};

/// Parses and runs; every error ends in one line "skippipe: ..." on stderr and its exit code.
int run_cli(int argc, char** argv, const std::function<void(CLI::App&, command_context&)>& add);

// One file each in runtime/commands/.
void add_certs(CLI::App& app, command_context& context);
void add_checkpoint(CLI::App& app, command_context& context);
void add_config(CLI::App& app, command_context& context);
void add_trace(CLI::App& app, command_context& context);
void add_data(CLI::App& app, command_context& context);
void add_plan(CLI::App& app, command_context& context);
void add_simulate(CLI::App& app, command_context& context);
void add_token(CLI::App& app, command_context& context);
void add_up(CLI::App& app, command_context& context);
/// nodes, status, jobs, attach, stop, drain.
void add_cluster_commands(CLI::App& app, command_context& context);
/// Null: the job goes to a cluster.
struct training_request;
using embedded_runner = int (*)(const training_request&);
void add_train(CLI::App& app, command_context& context, embedded_runner run_embedded);
void add_node(CLI::App& app, command_context& context); ///< In skippipe-engine.

} // namespace skippipe::runtime
