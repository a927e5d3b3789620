// Checkpoints: what is written comes back, complete or absent (R9).
#include "files_checkpoint_fixture.hpp"
#include "files_fixture.hpp"

#include "model/checkpoint_folder.hpp"

#include <catch2/catch.hpp>

#include <thread>

using namespace skippipe::model;
namespace fs = std::filesystem;

namespace {

std::vector<float> floats(const named_tensor& tensor) {
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

std::vector<std::uint64_t> iterations(const fs::path& root) {
  std::vector<std::uint64_t> result;
  for (const auto& entry : list_checkpoints(root))
    result.push_back(entry.iteration);
  return result;
}

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

} // namespace

TEST_CASE("a checkpoint comes back bit by bit", "[files]") {
  const scratch dir;
  const small_checkpoint small;
  const auto path = small.write(dir / "run/checkpoints", 123);
  CHECK(path == dir / "run/checkpoints/step-00000123");
  CHECK(entries(path) == 7);
  const checkpoint_reader reader{path};
  auto expected = small.manifest;
  expected.iteration = 123;
  expected.files = reader.manifest().files;
  CHECK(reader.manifest() == expected);
  CHECK(verify_checkpoint(path) == expected);
  for (std::uint32_t stage = 0; stage < 3; ++stage)
    for (const auto& info : small.parameters(stage))
      for (const char* suffix : {"", ".exp_avg", ".exp_avg_sq"}) {
        const auto name = info.name + suffix;
        REQUIRE(floats(reader.tensor(name)) == small_checkpoint::values_of(name, info.size, 0));
        REQUIRE(reader.tensor(name).shape == info.shape);
      }
  CHECK(newest_verified(path) == path);
  CHECK(newest_verified(dir / "run") == path);
}

TEST_CASE("tensors are found whatever stages wrote them", "[files]") {
  const scratch dir;
  const small_checkpoint three, two({2, 3});
  const checkpoint_reader a{three.write(dir / "a", 1)}, b{two.write(dir / "b", 1)};
  REQUIRE(a.tensors().size() == b.tensors().size());
  for (const auto& [name, tensor] : a.tensors())
    REQUIRE(floats(tensor) == floats(b.tensor(name)));
}

TEST_CASE("stages write at the same time", "[files]") {
  const scratch dir;
  const small_checkpoint small;
  checkpoint_writer writer{dir.path, 9};
  std::vector<std::thread> threads;
  for (std::uint32_t stage = 0; stage < 3; ++stage)
    threads.emplace_back([&, stage] { small.write_stage(writer, stage); });
  for (auto& thread : threads)
    thread.join();
  CHECK(verify_checkpoint(writer.finish(small.manifest)).iteration == 9);
}

TEST_CASE("an unfinished checkpoint is absent", "[files]") {
  const scratch dir;
  const small_checkpoint small;
  small.write(dir.path, 1);
  {
    checkpoint_writer writer{dir.path, 2};
    small.write_stage(writer, 0);
    CHECK(iterations(dir.path) == std::vector<std::uint64_t>{1});
    const auto error = error_of([&] { writer.finish(small.manifest); });
    CHECK(one_line(error));
    CHECK(error.find("stage 1 was not written") != std::string::npos);
  }
  CHECK(entries(dir.path) == 1);
  CHECK(newest_verified(dir.path) == dir / "step-00000001");
}

TEST_CASE("what a killed writer left is cleaned and never listed", "[files]") {
  const scratch dir;
  const small_checkpoint small;
  small.write(dir.path, 4);
  fs::copy(dir / "step-00000004", dir / ".step-00000005.tmp");
  fs::copy(dir / "step-00000004", dir / ".step-00000003.old");
  fs::create_directory(dir / "step-7");
  CHECK(iterations(dir.path) == std::vector<std::uint64_t>{4});
  CHECK(clean_checkpoints(dir.path) == 2);
  CHECK(entries(dir.path) == 2);
  CHECK(clean_checkpoints(dir / "absent") == 0);
}

TEST_CASE("the newest checkpoint that verifies is used", "[files]") {
  const scratch dir;
  const small_checkpoint small;
  for (const std::uint64_t t : {10, 20, 30})
    small.write(dir.path, t);
  flip(dir / "step-00000030/stage-01.safetensors", 2000);
  CHECK(newest_verified(dir.path) == dir / "step-00000020");
  fs::remove(dir / "step-00000020/manifest.json");
  CHECK(newest_verified(dir.path) == dir / "step-00000010");
  fs::remove(dir / "step-00000010/stage-00.safetensors");
  const auto error = error_of([&] { newest_verified(dir.path); });
  CHECK(one_line(error));
  CHECK(error.find("none of 3 checkpoints verifies") != std::string::npos);
  CHECK(error.find("stage-01.safetensors") != std::string::npos);
}

TEST_CASE("the oldest checkpoints go, the newest stay", "[files]") {
  const scratch dir;
  const small_checkpoint small;
  for (const std::uint64_t t : {1, 2, 3, 4})
    small.write(dir.path, t);
  retain_checkpoints(dir.path, 0);
  CHECK(iterations(dir.path).size() == 4);
  retain_checkpoints(dir.path, 2);
  CHECK(iterations(dir.path) == std::vector<std::uint64_t>{3, 4});
  CHECK(entries(dir.path) == 2);
}

TEST_CASE("a checkpoint of the same iteration is replaced", "[files]") {
  const scratch dir;
  const small_checkpoint small;
  small.write(dir.path, 6, 0);
  const auto path = small.write(dir.path, 6, 1);
  verify_checkpoint(path);
  CHECK(floats(checkpoint_reader{path}.tensor("model.norm.weight"))
        == small_checkpoint::values_of("model.norm.weight", 8, 1));
  CHECK(entries(dir.path) == 1);
}

TEST_CASE("safetensors hold every shape and dtype", "[files]") {
  const scratch dir;
  const std::vector<double> doubles = {1.5, -2.5};
  const std::vector<std::byte> three(3);
  const std::vector<named_tensor> written = {
      {"scalar", "F64", {}, std::as_bytes(std::span{doubles}).first(8)},
      {"empty", "F32", {0, 4}, {}},
      {"bytes \"quoted\"\n", "U8", {3}, three},
      {"pair", "F64", {2, 1}, std::as_bytes(std::span{doubles})}};
  const auto hash = write_safetensors(dir / "t.safetensors", written);
  const mapped_file file{dir / "t.safetensors"};
  CHECK(sha256(file.bytes()) == hash);
  const auto read = parse_safetensors(file.bytes(), "t");
  REQUIRE(read.size() == written.size());
  for (const auto& tensor : written) {
    const auto found = std::find_if(read.begin(), read.end(),
                                    [&](const auto& t) { return t.name == tensor.name; });
    REQUIRE(found != read.end());
    CHECK(found->dtype == tensor.dtype);
    CHECK(found->shape == tensor.shape);
    CHECK(std::equal(found->bytes.begin(), found->bytes.end(), tensor.bytes.begin(),
                     tensor.bytes.end()));
  }
}
