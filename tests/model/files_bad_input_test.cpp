// Bad inputs: one clear line each that names the file, and nothing is lost.
#include "files_checkpoint_fixture.hpp"
#include "files_fixture.hpp"

#include "model/checkpoint_folder.hpp"
#include "model/dataset.hpp"
#include "model/prepare.hpp"

#include <sys/mount.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <functional>

using namespace skippipe::model;
namespace fs = std::filesystem;

namespace {

/// `action` fails with one line that has every one of `parts`.
void check_error(const std::function<void()>& action, const std::vector<std::string>& parts) {
  const auto error = error_of(action);
  INFO("the error is: " << error);
  CHECK(one_line(error));
  for (const auto& part : parts)
    CHECK(error.find(part) != std::string::npos);
}

std::string bytes_of(std::uint64_t number, std::size_t size) {
  return {reinterpret_cast<const char*>(&number), size};
}

void patch(const fs::path& path, std::size_t at, const std::string& bytes) {
  auto content = read_file(path);
  content.replace(at, bytes.size(), bytes);
  write_file(path, content);
}

/// A safetensors file with this header and so many bytes of content.
std::string safetensors_bytes(const std::string& header, std::size_t content) {
  return bytes_of(header.size(), 8) + header + std::string(content, 'x');
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

/// A file system of 64 KiB for as long as this object lives; absent without the right to mount.
struct tiny_disk {
  explicit tiny_disk(const fs::path& at) : path(at) {
    fs::create_directories(path);
    // Only root may; elsewhere the case says that it saw nothing.
    mounted = ::geteuid() == 0 && ::mount("tmpfs", path.c_str(), "tmpfs", 0, "size=64k") == 0;
    if (!mounted)
      WARN("no full disk was tried: mounting a small file system needs root");
  }
  ~tiny_disk() {
    if (mounted)
      ::umount(path.c_str());
  }
  tiny_disk(const tiny_disk&) = delete;
  tiny_disk& operator=(const tiny_disk&) = delete;
  fs::path path;
  bool mounted = false;
};

} // namespace

TEST_CASE("bad token files", "[files]") {
  const scratch dir;
  const auto path = dir / "t.bin";
  const std::vector<std::int32_t> ids(100, 3);
  write_token_file(path, ids, 256);
  const auto open = [&] { token_file file{path}; };
  SECTION("missing") {
    fs::remove(path);
    check_error(open, {path.string(), "No such file"});
  }
  SECTION("a folder") {
    fs::remove(path);
    fs::create_directory(path);
    check_error(open, {path.string(), "not a file"});
  }
  SECTION("empty") {
    write_file(path, "");
    check_error(open, {path.string(), "too short"});
  }
  SECTION("something else") {
    write_file(path, std::string(500, 'a'));
    check_error(open, {path.string(), "not a token file"});
  }
  SECTION("another version") {
    patch(path, 8, bytes_of(7, 4));
    check_error(open, {path.string(), "version 7", "reads 1"});
  }
  SECTION("a damaged header") {
    flip(path, 17);
    check_error(open, {path.string(), "header is damaged"});
  }
  SECTION("truncated") {
    fs::resize_file(path, 100);
    check_error(open, {path.string(), "expected 100 ids, found 26"});
  }
  SECTION("longer than it says") {
    write_file(path, read_file(path) + "xx");
    check_error(open, {path.string(), "expected 100 ids, found 101"});
  }
  SECTION("every flipped byte is noticed") {
    for (std::size_t at = 0; at < fs::file_size(path); ++at) {
      flip(path, at);
      INFO("byte " << at);
      REQUIRE(one_line(error_of(open)));
      flip(path, at);
    }
    open();
  }
  SECTION("ids outside the vocabulary") {
    write_token_file(path, ids, 3);
    check_error(open, {path.string(), "id 3 at position 0"});
  }
}

TEST_CASE("bad data folders", "[files]") {
  const scratch dir;
  write_file(dir / "text.txt", prose(300));
  prepare_options options{{dir / "text.txt"}, "spm", 400, dir / "data", {}};
  prepare_data(options);
  const auto open = [&] { dataset(dir / "data", 16).load_tokenizer(); };
  SECTION("missing") {
    fs::remove_all(dir / "data");
    check_error(open, {"data/train.bin", "No such file"});
  }
  SECTION("no validation part") {
    fs::remove(dir / "data/val.bin");
    check_error(open, {"data/val.bin", "No such file"});
  }
  SECTION("a context longer than the text") {
    check_error([&] { dataset(dir / "data", 100000); }, {"train.bin", "too few", "100000"});
  }
  SECTION("parts of different vocabularies") {
    write_token_file(dir / "data/val.bin", std::vector<std::int32_t>(100, 1), 300);
    check_error(open, {"data", "different vocabularies"});
  }
  SECTION("a tokenizer that is none") {
    write_file(dir / "data/tokenizer.model", "not a model");
    check_error(open, {"tokenizer.model", "not a SentencePiece model"});
  }
  SECTION("an empty tokenizer") {
    write_file(dir / "data/tokenizer.model", "");
    check_error(open, {"tokenizer.model"});
  }
}

TEST_CASE("bad preparations leave nothing behind", "[files]") {
  const scratch dir;
  write_file(dir / "text.txt", prose(300));
  prepare_options options{{dir / "text.txt"}, "byte", 400, dir / "data", {}};
  const auto run = [&] { prepare_data(options); };
  const auto check_absent = [&](const std::vector<std::string>& parts) {
    check_error(run, parts);
    CHECK_FALSE(fs::exists(dir / "data"));
    CHECK_FALSE(fs::exists(dir / "data.tmp"));
  };
  SECTION("no such input") {
    options.inputs = {dir / "absent.txt"};
    check_absent({"absent.txt", "check --input"});
  }
  SECTION("an empty folder") {
    fs::create_directory(dir / "empty");
    options.inputs = {dir / "empty"};
    check_absent({"no text files"});
  }
  SECTION("an empty text") {
    write_file(dir / "text.txt", "");
    check_absent({"text.txt", "no text"});
  }
  SECTION("not a text") {
    write_file(dir / "text.txt", std::string("a\0b", 3));
    check_absent({"text.txt", "not a text file"});
  }
  SECTION("an unknown tokenizer") {
    options.tokenizer = "words";
    check_absent({"'words'", "byte or spm"});
  }
  SECTION("a vocabulary that the text cannot fill") {
    options.tokenizer = "spm";
    options.vocab_size = 50000;
    check_absent({"50000", "--vocab-size"});
  }
  SECTION("a vocabulary that is too small for bytes") {
    options.tokenizer = "spm";
    options.vocab_size = 100;
    check_absent({"100", "--vocab-size"});
  }
  SECTION("a folder that holds something else") {
    fs::create_directory(dir / "data");
    write_file(dir / "data/letter.txt", "dear");
    check_error(run, {"data", "something else"});
    CHECK(read_file(dir / "data/letter.txt") == "dear");
  }
  SECTION("a folder that holds other data") {
    run();
    const auto before = read_file(dir / "data/train.bin");
    write_file(dir / "text.txt", prose(301));
    check_error(run, {"data", "other data"});
    CHECK(read_file(dir / "data/train.bin") == before);
  }
  SECTION("a folder that cannot be made") {
    options.out = dir / "text.txt/data";
    check_error(run, {"text.txt/data"});
  }
}

TEST_CASE("a full disk while preparing", "[files]") {
  const scratch dir;
  const tiny_disk disk{dir / "disk"};
  if (!disk.mounted)
    return;
  write_file(dir / "text.txt", prose(2000));
  check_error(
      [&] {
        prepare_data({{dir / "text.txt"}, "byte", 257, disk.path / "data", {}});
      },
      {"disk/data.tmp", "No space left", "free some space"});
  CHECK(fs::is_empty(disk.path));
}

TEST_CASE("bad safetensors", "[files]") {
  const auto check = [](const std::string& bytes, const std::string& part) {
    check_error([&] { parse_safetensors(std::as_bytes(std::span{bytes}), "file"); },
                {"file: ", part});
  };
  const auto f32 = entry("F32", "[2]", "[0,8]");
  const auto good = safetensors_bytes("{\"a\":" + f32 + "}  ", 8);
  CHECK(parse_safetensors(std::as_bytes(std::span{good}), "file").size() == 1);
  check("", "too short");
  check("1234567", "too short");
  check(bytes_of(1000, 8) + "{}", "truncated");
  check(bytes_of(~0ULL, 8) + "{}", "truncated");
  check(safetensors_bytes("[]", 0), "not a JSON object");
  check(safetensors_bytes(" {}", 0), "not a JSON object");
  check(safetensors_bytes("{\"a\":", 0), "not a JSON object");
  check(safetensors_bytes("", 0), "not a JSON object");
  check(safetensors_bytes("{\"a\":" + f32 + ",\"a\":" + f32 + "}", 8), "comes twice");
  check(safetensors_bytes("{\"__metadata__\":{\"a\":1}}", 0), "metadata");
  check(safetensors_bytes("{\"a\":3}", 0), "needs exactly");
  check(safetensors_bytes("{\"a\":" + entry("F33", "[2]", "[0,8]") + "}", 8), "unknown dtype");
  check(safetensors_bytes("{\"a\":" + entry("F32", "[-2]", "[0,8]") + "}", 8), "list of sizes");
  check(safetensors_bytes("{\"a\":" + entry("F32", "[2.0]", "[0,8]") + "}", 8), "list of sizes");
  check(safetensors_bytes("{\"a\":" + entry("F32", "[3]", "[0,8]") + "}", 8), "does not fit");
  check(safetensors_bytes("{\"a\":" + entry("F32", "[4294967296,4294967296]", "[0,0]") + "}", 0),
        "does not fit");
  check(safetensors_bytes("{\"a\":" + entry("F32", "[2]", "[8,0]") + "}", 8), "outside the file");
  check(safetensors_bytes("{\"a\":" + entry("F32", "[2]", "[0,8]") + "}", 4), "outside the file");
  check(safetensors_bytes("{\"a\":" + entry("F32", "[2]", "[0]") + "}", 8), "two numbers");
  check(safetensors_bytes("{\"a\":" + f32 + "}", 9), "follow the last");
  check(safetensors_bytes("{\"a\":" + f32 + ",\"b\":" + entry("F32", "[2]", "[4,12]") + "}", 12),
        "overlaps");
  check(safetensors_bytes("{\"a\":" + f32 + ",\"b\":" + entry("F32", "[1]", "[12,16]") + "}", 16),
        "hole");
  check(safetensors_bytes("{\"a\\n\":3}", 0), "\"a\\n\"");
}

TEST_CASE("bad checkpoints", "[files]") {
  const scratch dir;
  const small_checkpoint small;
  small.write(dir.path, 1);
  const auto path = small.write(dir.path, 2);
  const auto manifest = path / "manifest.json";
  const auto edit = [&](const std::function<void(nlohmann::json&)>& change) {
    auto json = nlohmann::json::parse(read_file(manifest));
    change(json);
    write_file(manifest, json.dump());
  };
  const auto check = [&](const std::vector<std::string>& parts) {
    check_error([&] { verify_checkpoint(path); }, parts);
    // The previous one still verifies, and is what a resume takes.
    CHECK(newest_verified(dir.path) == dir / "step-00000001");
  };
  SECTION("no manifest") {
    fs::remove(manifest);
    check({path.string(), "not a complete checkpoint"});
  }
  SECTION("a truncated manifest") {
    fs::resize_file(manifest, 100);
    check({"manifest.json", "not a checkpoint manifest"});
  }
  SECTION("another version") {
    edit([](auto& json) { json["version"] = 2; });
    check({"manifest.json", "version 2", "reads version 1"});
  }
  SECTION("a missing key") {
    edit([](auto& json) { json["model"].erase("heads"); });
    check({"manifest.json", "model.heads is missing"});
  }
  SECTION("a key of the wrong type") {
    edit([](auto& json) { json["seed"] = "seven"; });
    check({"manifest.json", "seed is not a number"});
  }
  SECTION("a number that does not fit") {
    edit([](auto& json) { json["stages"] = 1ULL << 40; });
    check({"manifest.json", "stages is not"});
  }
  SECTION("a model that cannot be") {
    edit([](auto& json) { json["model"]["heads"] = 3; });
    check({"manifest.json", "model.heads"});
  }
  SECTION("an impossible size") {
    edit([](auto& json) { json["model"]["vocab"] = 4000000000u; });
    check({"manifest.json", "impossible size"});
  }
  SECTION("layers that do not add up") {
    edit([](auto& json) { json["layers_per_stage"] = {1, 2, 3}; });
    check({"manifest.json", "layers_per_stage"});
  }
  SECTION("a file outside the folder") {
    edit([](auto& json) { json["files"][0]["name"] = "../../secret"; });
    check({"manifest.json", "plain file name"});
  }
  SECTION("a missing file") {
    fs::remove(path / "stage-01.safetensors");
    check({"stage-01.safetensors", "No such file"});
  }
  SECTION("a truncated file") {
    fs::resize_file(path / "stage-01.optimizer.safetensors", 300);
    check({"stage-01.optimizer.safetensors", "300 bytes"});
  }
  SECTION("a flipped byte in the tensors") {
    const auto file = path / "stage-02.safetensors";
    flip(file, fs::file_size(file) - 5);
    check({"stage-02.safetensors", "damaged"});
  }
  SECTION("a flipped byte in a header") {
    flip(path / "stage-00.safetensors", 20);
    check({"stage-00.safetensors", "damaged"});
  }
  SECTION("tensors of another model") {
    edit([](auto& json) { json["model"]["ffn"] = 13; });
    check({"mlp", "the model needs F32 (", "13"});
  }
  SECTION("a stage that the manifest forgot") {
    edit([](auto& json) { json["files"].erase(0); });
    check({path.string(), "is missing"});
  }
  SECTION("every flipped byte of a file is noticed") {
    const auto file = path / "stage-00.safetensors";
    for (std::size_t at = 0; at < fs::file_size(file); at += 7) {
      flip(file, at);
      INFO("byte " << at);
      REQUIRE(one_line(error_of([&] { verify_checkpoint(path); })));
      flip(file, at);
    }
    verify_checkpoint(path);
  }
}

TEST_CASE("checkpoints that cannot be written", "[files]") {
  const scratch dir;
  const small_checkpoint small;
  SECTION("below a file") {
    write_file(dir / "run", "x");
    check_error([&] { small.write(dir / "run/checkpoints", 1); }, {"run/checkpoints", "choose"});
  }
  SECTION("to a full disk") {
    const tiny_disk disk{dir / "disk"};
    if (!disk.mounted)
      return;
    // The first fits; fill what is left so that the second does not.
    const auto first = small.write(disk.path, 1);
    write_file(disk.path / "filler", std::string(8192, 'x'));
    check_error(
        [&] {
          for (std::uint64_t t = 2; t < 20; ++t)
            small.write(disk.path, t);
        },
        {"No space left", "space or choose another folder"});
    const auto newest = list_checkpoints(disk.path).back().path;
    CHECK(newest_verified(disk.path) == newest);
    verify_checkpoint(first);
    CHECK(clean_checkpoints(disk.path) == 0);
  }
  SECTION("nothing to resume") {
    check_error([&] { newest_verified(dir.path); }, {dir.path.string(), "no checkpoint here"});
    check_error([&] { newest_verified(dir / "absent"); }, {"absent", "no checkpoint here"});
  }
  SECTION("a tensor whose shape does not fit") {
    const std::vector<std::byte> four(4);
    checkpoint_writer writer{dir.path, 1};
    const named_tensor wrong{"w", "F32", {2}, four};
    check_error([&] { writer.write_stage(0, {&wrong, 1}, {}); }, {"stage-00", "\"w\""});
  }
}
