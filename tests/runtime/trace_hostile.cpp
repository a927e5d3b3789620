// The fuzz target's checks on seeded random input, so that every build runs them for a moment.
#include "trace_pipeline.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <random>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

using namespace skippipe;
using namespace skippipe::test;

TEST_CASE("any sequence of events can be told, explained and exported", "[trace][fuzz]") {
  std::mt19937_64 random(7);
  for (int round = 0; round < 2'000; ++round) {
    std::vector<std::uint8_t> input(1 + 8 * (random() % 120));
    for (auto& byte : input)
      byte = static_cast<std::uint8_t>(random());
    input[0] = 2;
    CHECK(LLVMFuzzerTestOneInput(input.data(), input.size()) == 0);
  }
}

TEST_CASE("spoilt trace files and plans never do harm", "[trace][fuzz]") {
  temporary_folder dir;
  const auto plan = pipeline_plan();
  write_run(dir.path, plan, {run_pipeline(plan, {}, 1, 0).events});
  std::mt19937_64 random(11);
  for (const auto& [file, first] : {std::pair("trace/b1.trace", 0), std::pair("plans/5.json", 1)}) {
    std::ifstream in(dir.path / file, std::ios::binary);
    const std::vector<char> whole{std::istreambuf_iterator<char>(in), {}};
    REQUIRE(whole.size() > 100);
    for (int round = 0; round < 3'000; ++round) {
      std::vector<std::uint8_t> input(whole.begin(), whole.end());
      input.insert(input.begin(), static_cast<std::uint8_t>(first));
      for (auto n = random() % 4; n > 0; --n)
        input[1 + random() % (input.size() - 1)] = static_cast<std::uint8_t>(random());
      input.resize(1 + random() % input.size());
      CHECK(LLVMFuzzerTestOneInput(input.data(), input.size()) == 0);
    }
  }
}
