// Every job file in configs/ can be read, says in comments what it is for, and is what its name says.
#include "runtime/config/job_config.hpp"
#include "runtime/config/link_table.hpp"
#include "runtime/config/node_config.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <toml++/toml.h>
#include <unistd.h>

using namespace skippipe;
using namespace skippipe::runtime;

namespace {

const std::filesystem::path folder = SKIPPIPE_SOURCE_DIR "/configs";

bool is_job(const std::filesystem::path& file) {
  return toml::parse_file(file.string()).contains("job");
}

job_config load(const std::string& name) {
  problem_list problems;
  const auto job = load_job(folder / name, {}, problems);
  INFO(problems.text());
  REQUIRE(job);
  return *job;
}

} // namespace

TEST_CASE("every job file in configs/ loads", "[config]") {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator{folder}) {
    if (entry.path().extension() != ".toml" || !is_job(entry.path()))
      continue;
    INFO(entry.path());
    const auto job = load(entry.path().filename());
    CHECK(job.name == entry.path().stem());
    std::string first;
    std::ifstream{entry.path()} >> first;
    CHECK(first == "#");
    names.insert(job.name);
  }
  for (const auto* name : {"quickstart", "full-pipeline", "deterministic", "bf16"}) {
    INFO(name);
    CHECK(names.count(name) == 1);
  }
}

TEST_CASE("every node and cluster file in configs/ loads", "[config]") {
  std::size_t nodes = 0, clusters = 0;
  for (const auto& entry : std::filesystem::directory_iterator{folder}) {
    if (entry.path().extension() != ".toml" || is_job(entry.path()))
      continue;
    INFO(entry.path());
    problem_list problems;
    const bool cluster = toml::parse_file(entry.path().string()).contains("cluster");
    const bool loaded = cluster ? load_cluster(entry.path(), {}, problems).has_value()
                                : load_node(entry.path(), {}, problems).has_value();
    INFO(problems.text());
    CHECK(loaded);
    ++(cluster ? clusters : nodes);
  }
  CHECK(nodes == 4);
  CHECK(clusters == 2);
}

TEST_CASE("the table of twelve regions is whole", "[config][emulation]") {
  const link_table table{folder / "twelve-regions.json"};
  REQUIRE(table.locations().size() == 12);
  for (const auto& a : table.locations())
    for (const auto& b : table.locations()) {
      const auto speed = table.between(a, b);
      CHECK(speed.latency_s == table.between(b, a).latency_s);
      CHECK(speed.latency_s >= 1e-3);
      CHECK(speed.latency_s < 0.2);
      CHECK(speed.bandwidth_Bps > 5e6); // The published table has one link a thousand times slower.
    }
}

TEST_CASE("a damaged table of links is refused with its place", "[config][emulation]") {
  const auto file = std::filesystem::temp_directory_path()
                    / ("skippipe-links-" + std::to_string(::getpid()) + ".json");
  const auto problem_of = [&](const std::string& text) {
    std::ofstream{file} << text;
    try {
      link_table{file};
    } catch (const std::runtime_error& problem) {
      return std::string{problem.what()};
    }
    return std::string{};
  };
  const std::string rows = R"("latency_ms":[[1,2],[2,1]],"bandwidth_MBps":[[9,9],[9,9]])";
  CHECK(problem_of(R"({"locations":["a","b"],)" + rows + "}") == "");
  CHECK(problem_of("[]").find("JSON object") != std::string::npos);
  CHECK(problem_of("{" + rows + "}").find("locations") != std::string::npos);
  CHECK(problem_of(R"({"locations":["a","a"],)" + rows + "}").find("once") != std::string::npos);
  CHECK(problem_of(R"({"locations":["a"],)" + rows + "}").find("latency_ms") != std::string::npos);
  CHECK(problem_of(R"({"locations":["a","b"],"latency_ms":[[1,2],[2]],"bandwidth_MBps":[]})")
            .find("latency_ms[1]")
        != std::string::npos);
  CHECK(problem_of(R"({"locations":["a"],"latency_ms":[[-1]],"bandwidth_MBps":[[1]]})")
            .find("latency_ms[0][0]")
        != std::string::npos);
  CHECK(
      problem_of(R"({"locations":["a"],"latency_ms":[[1]],"bandwidth_MBps":[[0]]})").find("above 0")
      != std::string::npos);
  const std::string two = R"({"locations":["a","b"],)" + rows + R"(,"interface_MBps":)";
  CHECK(problem_of(two + "100}") == "");
  CHECK(problem_of(two + "[100, 50]}") == "");
  CHECK(link_table{file}.interface_Bps("a") == 100e6);
  CHECK(link_table{file}.interface_Bps("b") == 50e6);
  CHECK(problem_of(two + "[100]}").find("2 of them") != std::string::npos);
  CHECK(problem_of(two + "[100, 0]}").find("interface_MBps[1]") != std::string::npos);
  CHECK(problem_of(two + "\"fast\"}").find("interface_MBps: expected a number")
        != std::string::npos);
  std::filesystem::remove(file);
}

TEST_CASE("the quickstart skips, on two nodes per stage", "[config]") {
  const auto job = load("quickstart.toml");
  CHECK(job.pipeline.stages == 4);
  CHECK(job.pipeline.path_length == 3);
  CHECK(job.replicas == std::vector<std::uint32_t>{2, 2, 2, 2});
  CHECK(job.model.layers == 8);
  CHECK(job.model.vocab == job.data.vocab_size);
  CHECK(job.microbatches() == 8);
}

TEST_CASE("each variant differs from the quickstart in what it is named after", "[config]") {
  const auto quickstart = load("quickstart.toml");
  CHECK_FALSE(quickstart.pipeline.deterministic);
  CHECK(quickstart.model.compute == model::dtype::float32);

  const auto full = load("full-pipeline.toml");
  CHECK(full.pipeline.path_length == full.pipeline.stages);
  CHECK(full.pipeline.strategy == scheduler::strategy::full);

  const auto deterministic = load("deterministic.toml");
  CHECK(deterministic.pipeline.deterministic);
  CHECK(deterministic.instance().routes.size() == deterministic.microbatches());

  const auto bf16 = load("bf16.toml");
  CHECK(bf16.model.compute == model::dtype::bfloat16);

  for (auto variant : {full, deterministic, bf16}) {
    INFO(variant.name);
    // So that losses and speeds can be compared.
    variant.model.compute = quickstart.model.compute;
    CHECK(variant.model == quickstart.model);
    CHECK(variant.optimizer == quickstart.optimizer);
    CHECK(variant.seed == quickstart.seed);
    CHECK(variant.replicas == quickstart.replicas);
    CHECK(variant.microbatches() == quickstart.microbatches());
    CHECK(variant.pipeline.microbatch_size == quickstart.pipeline.microbatch_size);
  }
}
