// skippipe token: who may join a cluster for the first time.
#include "runtime/cli.hpp"
#include "runtime/config/node_config.hpp"
#include "runtime/security/certificate.hpp"
#include "runtime/security/token_store.hpp"

#include <iostream>
#include <memory>

namespace skippipe::runtime {

namespace {

struct token_words {
  std::string config, journal;
  double hours = 24;
  bool json = false;
};

std::filesystem::path journal_of(const token_words& words) {
  if (words.config.empty() == words.journal.empty())
    throw command_error(
        "token create: give --config NODE.toml of the scheduler's node, or --journal "
        "DIR (on the scheduler's machine)",
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

int create(const token_words& words) {
  if (!(words.hours > 0 && words.hours <= 24 * 365))
    throw command_error("token create: --hours: expected more than 0 and at most 8760", exit_usage);
  security::token_store store{journal_of(words)};
  const auto now = security::token_store::clock::now();
  const std::chrono::seconds life{static_cast<std::int64_t>(words.hours * 3600) + 1};
  const auto token = store.create(life, now);
  const auto expires = security::text_of(now + life);
  if (words.json)
    print_json({{"token", token}, {"expires", expires}});
  else {
    std::cerr << "admits one new node, until " << expires << ":\n";
    std::cout << token << '\n';
  }
  return 0;
}

} // namespace

void add_token(CLI::App& app, command_context& context) {
  auto* token = app.add_subcommand("token", "Admit new nodes");
  token->require_subcommand(1);
  auto* creating = token->add_subcommand("create", "Make a token that one new node can join with");
  auto words = std::make_shared<token_words>();
  creating->add_option("--config", words->config, "NODE.toml of the node that runs the scheduler");
  creating->add_option("--journal", words->journal, "The scheduler's journal folder");
  creating->add_option("--hours", words->hours, "How long it can be used")->capture_default_str();
  creating->add_flag("--json", words->json, "JSON on stdout");
  creating->callback([&context, words] { context.run = [words] { return create(*words); }; });
}

} // namespace skippipe::runtime
