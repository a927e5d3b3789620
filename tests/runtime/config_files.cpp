// Every job file in configs/ can be read, says in comments what it is for, and is what its name says.
#include "runtime/config/job_config.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <toml++/toml.h>

using namespace skippipe;
using namespace skippipe::runtime;

namespace {

const std::filesystem::path folder = SKIPPIPE_SOURCE_DIR "/configs";

/// Node and cluster files have tests of their own.
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
