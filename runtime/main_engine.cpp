// skippipe-engine: the commands that need LibTorch.
#include "runtime/cli.hpp"

int main(int argc, char** argv) {
  using namespace skippipe::runtime;
  return run_cli(argc, argv,
                 [](CLI::App& app, command_context& context) { add_train(app, context); });
}
