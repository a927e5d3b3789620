// skippipe up: a cluster on this machine.
#include "runtime/cli.hpp"
#include "runtime/config/node_config.hpp"
#include "runtime/daemon/local_cluster.hpp"

#include <filesystem>
#include <memory>

namespace skippipe::runtime {

void add_up(CLI::App& app, command_context& context) {
  struct words {
    std::string file;
    std::vector<std::string> overrides;
    bool json = false;
  };
  auto* up = app.add_subcommand("up", "Run a cluster of node daemons on this machine");
  up->footer("The scheduler listens where it did the last time; --set node.listen=127.0.0.1:PORT "
             "chooses the port.");
  auto w = std::make_shared<words>();
  up->add_option("CLUSTER", w->file, "The cluster's TOML file")->required();
  up->add_option("--set", w->overrides, "Overrides a key: --set cluster.nodes=5")
      ->allow_extra_args(false);
  up->add_flag("--json", w->json, "One JSON object per line on stdout");
  up->callback([&context, w] {
    context.run = [w] {
      problem_list problems;
      const auto cluster = load_cluster(w->file, w->overrides, problems);
      if (!cluster)
        throw as_error(problems);
      return daemon::run_local_cluster(
          *cluster, std::filesystem::read_symlink("/proc/self/exe").string(), w->json);
    };
  });
}

} // namespace skippipe::runtime
