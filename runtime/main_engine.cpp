// skippipe-engine: the commands that need LibTorch.
#include "runtime/cli.hpp"
#include "runtime/train/training_run.hpp"

int main(int argc, char** argv) {
  using namespace skippipe::runtime;
  return run_cli(argc, argv, [](CLI::App& app, command_context& context) {
    add_train(app, context, &run_training);
    add_node(app, context);
  });
}
