// Writes a generated instance: bench_scheduler_generate NODES SEED > FILE
#include "scheduler/instance_json.hpp"

#include "scheduler_instances.hpp"

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: bench_scheduler_generate NODES SEED > FILE\n");
    return 2;
  }
  using namespace skippipe;
  const auto nodes = static_cast<std::uint32_t>(std::strtoul(argv[1], nullptr, 10));
  const auto options = bench::options_for_size(nodes, std::strtoull(argv[2], nullptr, 10));
  if (nodes < options.stages) {
    std::fprintf(stderr, "bench_scheduler_generate: NODES must be at least %u\n", options.stages);
    return 2;
  }
  const std::string text = scheduler::write_instance(bench::generated_instance(options));
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}
