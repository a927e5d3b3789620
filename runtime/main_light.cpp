// skippipe: all commands that do without LibTorch; the others are handed to skippipe-engine.
#include "runtime/cli.hpp"
#include "runtime/engine_launcher.hpp"

int main(int argc, char** argv) {
  using namespace skippipe::runtime;
  if (needs_engine(argc, argv))
    return exec_engine(argv);
  return run_cli(argc, argv, [](CLI::App& app, command_context& context) {
    add_certs(app, context);
    add_checkpoint(app, context);
    add_config(app, context);
    add_data(app, context);
    add_trace(app, context);
    add_plan(app, context);
    add_simulate(app, context);
    add_token(app, context);
    add_train(app, context, nullptr);
    add_cluster_commands(app, context);
    add_up(app, context);
    // Listed for --help; never run here.
    app.add_subcommand("node", "Run a node daemon");
  });
}
