// skippipe config: check a file, print a default one.
#include "runtime/cli.hpp"
#include "runtime/config/job_config.hpp"

#include <iostream>
#include <memory>

namespace skippipe::runtime {

void add_config(CLI::App& app, command_context& context) {
  auto* config = app.add_subcommand("config", "Check configuration files, print default ones");
  config->require_subcommand(1);
  auto* check = config->add_subcommand("check", "Report every problem of a file");
  auto file = std::make_shared<std::string>();
  check->add_option("FILE", *file, "The TOML file")->required();
  check->callback([&context, file] {
    context.run = [file] {
      problem_list problems;
      const auto job = load_job(*file, {}, problems);
      if (!job)
        throw command_error(problems.text());
      std::cout << *file << ": OK\n";
      return 0;
    };
  });
}

} // namespace skippipe::runtime
