// skippipe node: a daemon.
#include "model/device.hpp"
#include "runtime/check/check_command.hpp"
#include "runtime/check/node_check.hpp"
#include "runtime/cli.hpp"
#include "runtime/config/node_config.hpp"
#include "runtime/config/toml_document.hpp"
#include "runtime/daemon/node_daemon.hpp"

#include <iostream>
#include <memory>

namespace skippipe::runtime {

namespace {

struct node_words {
  std::string config;
  std::vector<std::string> overrides;
  bool check = false, connect = false, json = false;
};

/// Reads the file (or nothing: a cluster of one on loopback) and checks keys and interfaces.
node_config read(const node_words& words) {
  problem_list problems;
  auto document = words.config.empty() ? toml_document::parse("", "(no file)", problems)
                                       : toml_document::load(words.config, problems);
  if (document)
    for (const auto& word : words.overrides)
      document->override_key(word, problems);
  auto node = document ? read_node(*document, problems) : std::nullopt;
  if (node)
    for (const auto& line : check_node(*document, *node, problems))
      std::cerr << "skippipe: warning: " << line << '\n';
  if (!problems.empty())
    throw as_error(problems);
  return std::move(*node);
}

/// Before anything starts: who says READY can compute.
void check_device(const node_config& node) {
  if (node.dedicated)
    return;
  if (const auto why = model::device_obstacle(node.device); !why.empty())
    throw command_error("node.device = '" + node.device + "': " + why);
}

int run(const node_words& words) {
  if (words.connect && !words.check)
    throw command_error("node: --connect goes with --check", exit_usage);
  if (words.check) {
    if (words.config.empty())
      throw command_error("node: --check goes with --config NODE.toml", exit_usage);
    problem_list reported_there;
    if (const auto node = load_node(words.config, words.overrides, reported_there))
      check_device(*node);
    return check_node_file(words.config, words.overrides, words.connect, words.json);
  }
  daemon::daemon_request request;
  request.config = read(words);
  check_device(request.config);
  request.reload = [&words]() -> std::optional<node_config> {
    try {
      return read(words);
    } catch (const command_error& problem) {
      std::cerr << "skippipe: " << problem.what() << '\n';
      return std::nullopt;
    }
  };
  return daemon::run_daemon(request);
}

} // namespace

void add_node(CLI::App& app, command_context& context) {
  auto* node = app.add_subcommand("node", "Run a node daemon");
  auto words = std::make_shared<node_words>();
  node->add_option("--config", words->config,
                   "The node's TOML file (default: a cluster of one, on loopback)");
  node->add_option("--set", words->overrides, "Overrides a key: --set node.name=b")
      ->allow_extra_args(false);
  node->add_flag("--check", words->check, "Check the file and its keys, start nothing");
  node->add_flag("--connect", words->connect, "With --check: try the ports and the seeds");
  node->add_flag("--json", words->json, "With --check: one JSON object per line");
  node->callback([&context, words] { context.run = [words] { return run(*words); }; });
}

} // namespace skippipe::runtime
