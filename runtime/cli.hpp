// What every subcommand shares: where words go, how errors end.
#pragma once

#include "runtime/config/problems.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

namespace skippipe::runtime {

/// A user's error: one line (or one per problem), and the exit code.
class command_error : public std::runtime_error {
public:
  explicit command_error(const std::string& line, int code = 1)
      : std::runtime_error(line), code_(code) {}
  int code() const { return code_; }

private:
  int code_;
};

inline constexpr int exit_usage = 2, exit_infeasible = 3;

/// What is wrong with a configuration, as an error.
inline command_error as_error(const problem_list& problems) {
  return command_error(problems.text(), problems.infeasible()        ? exit_infeasible
                                        : problems.of_command_line() ? exit_usage
                                                                     : 1);
}

/// Takes integers from `least` on; a number's own parser would take -1 for a large one.
CLI::Validator at_least(std::uint64_t least);

/// A subcommand sets `run`; it is called once the whole line has been understood, and returns the
/// exit code.
struct command_context {
  std::function<int()> run;
};

/// One JSON object per line on stdout, flushed.
void print_json(const nlohmann::json& object);

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
