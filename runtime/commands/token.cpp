// skippipe token: who may join a cluster for the first time.
#include "runtime/cli.hpp"
#include "runtime/commands/cluster_option.hpp"
#include "runtime/config/node_config.hpp"
#include "runtime/security/certificate.hpp"
#include "runtime/security/token_store.hpp"

#include <cstdlib>
#include <iostream>
#include <memory>

namespace skippipe::runtime {

namespace {

struct token_words {
  std::string config, journal;
  daemon::cluster_words cluster;
  double hours = 24;
  bool json = false;
};

std::filesystem::path journal_of(const token_words& words) {
  if (words.config.empty() == words.journal.empty())
    throw command_error("token create: give --cluster HOST:PORT, or on the scheduler's machine "
                        "--config NODE.toml of "
                        "its node or --journal DIR",
                        exit_usage);
  if (!words.journal.empty())
    return words.journal;
  problem_list problems;
  const auto node = load_node(words.config, {}, problems);
  if (!node)
    throw command_error(problems.text());
  if (!node->runs_scheduler)
    throw command_error(words.config
                        + ": scheduler.enabled: expected true, as tokens are kept by the "
                          "scheduler's node");
  return node->journal_dir();
}

nlohmann::json make_token(const token_words& words) {
  const auto seconds = words.hours * 3600;
  const bool here = !words.config.empty() || !words.journal.empty();
  const bool asked = !words.cluster.cluster.empty();
  if (asked && here)
    throw command_error("token create: give either --cluster, --config or --journal", exit_usage);
  if (asked || (!here && std::getenv("SKIPPIPE_CLUSTER") != nullptr))
    return daemon::client{words.cluster}.ask("token", "", seconds);
  security::token_store store{journal_of(words)};
  const auto now = security::token_store::clock::now();
  const std::chrono::seconds life{static_cast<std::int64_t>(seconds) + 1};
  const auto token = store.create(life, now);
  return {{"token", token}, {"expires", security::text_of(now + life)}};
}

int create(const token_words& words) {
  if (!(words.hours > 0 && words.hours <= 24 * 365))
    throw command_error("token create: --hours: expected more than 0 and at most 8760", exit_usage);
  const auto made = make_token(words);
  if (words.json)
    print_json(made);
  else {
    std::cerr << "admits one new node, until " << made.value("expires", "") << ":\n";
    std::cout << made.value("token", "") << '\n';
  }
  return 0;
}

} // namespace

void add_token(CLI::App& app, command_context& context) {
  auto* token = app.add_subcommand("token", "Admit new nodes");
  token->require_subcommand(1);
  auto* creating = token->add_subcommand("create", "Make a token that one new node can join with");
  auto words = std::make_shared<token_words>();
  add_cluster_options(*creating, words->cluster);
  creating->add_option("--config", words->config, "NODE.toml of the node that runs the scheduler");
  creating->add_option("--journal", words->journal, "The scheduler's journal folder");
  creating->add_option("--hours", words->hours, "Hours in which it can be used")
      ->capture_default_str();
  creating->add_flag("--json", words->json, "JSON on stdout");
  creating->callback([&context, words] { context.run = [words] { return create(*words); }; });
}

} // namespace skippipe::runtime
