// skippipe node: a daemon.
#include "model/device.hpp"
#include "runtime/check/check_command.hpp"
#include "runtime/check/node_check.hpp"
#include "runtime/cli.hpp"
#include "runtime/config/node_config.hpp"
#include "runtime/daemon/admission.hpp"
#include "runtime/daemon/node_daemon.hpp"

#include <iostream>
#include <memory>
#include <sstream>

namespace skippipe::runtime {

namespace {

struct node_words {
  std::string config;
  std::vector<std::string> overrides;
  bool check = false, connect = false, json = false;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in{text};
  for (std::string line; std::getline(in, line);)
    lines.push_back(line);
  return lines;
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
    return check_node_file(words.config, words.overrides, words.connect, words.json,
                           {check_device, daemon::ask_admission});
  }
  daemon::daemon_request request;
  auto node = read_checked_node(words.config, words.overrides);
  for (const auto& line : node.warnings)
    std::cerr << "skippipe: warning: " << line << '\n';
  request.config = std::move(node.config);
  check_device(request.config);
  request.reload = [&words]() -> daemon::fresh_config {
    try {
      auto node = read_checked_node(words.config, words.overrides);
      return {std::move(node.config), std::move(node.warnings)};
    } catch (const command_error& problem) {
      return {std::nullopt, lines_of(problem.what())};
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
  node->add_flag("--connect", words->connect,
                 "With --check: try the ports and the seeds, ask the cluster");
  node->add_flag("--json", words->json, "With --check: one JSON object per line");
  node->callback([&context, words] { context.run = [words] { return run(*words); }; });
}

} // namespace skippipe::runtime
