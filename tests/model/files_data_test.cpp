// Tokenizers, token files, preparation and the dataset.
#include "files_fixture.hpp"

#include "model/dataset.hpp"
#include "model/options.hpp"
#include "model/prepare.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <numeric>
#include <set>
#include <thread>

using namespace skippipe::model;
namespace fs = std::filesystem;

namespace {

prepare_options options_for(const scratch& dir, const std::string& tokenizer,
                            std::uint32_t vocab = 500) {
  return {{dir / "text.txt"}, tokenizer, vocab, dir / "data", {}};
}

std::vector<std::int64_t> content(const token_file& file) {
  std::vector<std::int64_t> result(file.size());
  for (std::uint64_t i = 0; i < file.size(); ++i)
    result[i] = file[i];
  return result;
}

} // namespace

TEST_CASE("presets can be built", "[files]") {
  REQUIRE(preset_names() == std::vector<std::string>{"tiny", "500M", "1.5B", "8B"});
  for (const auto& name : preset_names())
    CHECK(validate(*find_preset(name)).empty());
  CHECK_FALSE(find_preset("7B"));
  auto bad = *find_preset("tiny");
  bad.heads = 7;
  bad.kv_heads = 2;
  const auto problems = validate(bad);
  REQUIRE(problems.size() == 2);
  CHECK(problems[0].key == "heads");
  CHECK(problems[1].key == "kv_heads");
}

TEST_CASE("bytes come back as they were", "[files]") {
  const auto tokens = make_byte_tokenizer();
  std::string text(256, '\0');
  std::iota(text.begin(), text.end(), '\0');
  CHECK(tokens->decode(tokens->encode(text)) == text);
  CHECK(tokens->decode({tokens->end_of_text(), -1, 1000}).empty());
}

TEST_CASE("sentencepiece is deterministic, compresses and keeps every text", "[files]") {
  const scratch dir;
  const auto text = prose(2000);
  train_spm(text, 500, dir / "a.model");
  train_spm(text, 500, dir / "b.model");
  const auto a = load_spm(dir / "a.model"), b = load_spm(dir / "b.model");
  CHECK(a->encode(text) == b->encode(text));
  CHECK(a->vocab_size() == 500);
  CHECK(a->encode(text).size() * 3 < text.size());
  for (const std::string& example :
       {text, std::string("  two  spaces \n\n\ttab \xc3\xa9 \xf0\x9f\x99\x82\n"),
        std::string("no newline at the end"), std::string("\n"), std::string()})
    CHECK(a->decode(a->encode(example)) == example);
}

TEST_CASE("token ids come back in two and in four bytes", "[files]") {
  const scratch dir;
  const std::vector<std::int32_t> ids = {0, 65535, 1, 300};
  write_token_file(dir / "narrow.bin", ids, 65536);
  CHECK(content(token_file{dir / "narrow.bin"})
        == std::vector<std::int64_t>(ids.begin(), ids.end()));
  CHECK(fs::file_size(dir / "narrow.bin") == 48 + 2 * ids.size());
  const std::vector<std::int32_t> wide = {70000, 0, 99999};
  write_token_file(dir / "wide.bin", wide, 100000);
  CHECK(content(token_file{dir / "wide.bin"})
        == std::vector<std::int64_t>(wide.begin(), wide.end()));
}

TEST_CASE("preparing keeps every token and holds a part out", "[files]") {
  const scratch dir;
  const auto text = prose(1000);
  write_file(dir / "text.txt", text);
  const auto result = prepare_data(options_for(dir, "byte"));
  const token_file train{dir / "data/train.bin"}, held{dir / "data/val.bin"};
  auto all = content(train);
  CHECK(all.back() == 256);
  all.pop_back();
  const auto tail = content(held);
  all.insert(all.end(), tail.begin(), tail.end() - 1);
  CHECK(std::equal(all.begin(), all.end(), text.begin(), text.end(),
                   [](std::int64_t id, char c) { return id == static_cast<unsigned char>(c); }));
  CHECK(result.validation_tokens > text.size() / 25);
  CHECK(result.validation_tokens < text.size() / 15);
  CHECK_FALSE(fs::exists(dir / "data.tmp"));
}

TEST_CASE("the same documents are held out wherever the text lies", "[files]") {
  const scratch dir;
  fs::create_directories(dir / "one");
  fs::create_directories(dir / "two");
  const auto lines = prose_lines(40);
  for (std::size_t i = 0; i < lines.size(); ++i)
    for (const char* folder : {"one/", "two/"})
      write_file(dir / (folder + std::to_string(i) + ".txt"), lines[i]);
  auto options = options_for(dir, "byte");
  options.inputs = {dir / "one"};
  options.out = dir / "a";
  prepare_data(options);
  options.inputs = {dir / "two"};
  options.out = dir / "b";
  prepare_data(options);
  CHECK(read_file(dir / "a/val.bin") == read_file(dir / "b/val.bin"));
  CHECK(read_file(dir / "a/train.bin") == read_file(dir / "b/train.bin"));
}

TEST_CASE("the vocabulary that is advised can be trained", "[files]") {
  const scratch dir;
  write_file(dir / "text.txt", "hello world\nthe quick brown fox jumps over the lazy dog\n");
  for (const auto& [size, why, step] :
       {std::tuple{50000u, "too little text for a vocabulary of 50000; ", 1},
        std::tuple{100u, "holds more kinds of characters than a vocabulary of 100 has room for; ",
                   -1}}) {
    auto options = options_for(dir, "spm", size);
    const auto error = error_of([&] { prepare_data(options); });
    INFO(error);
    const std::string key = "--vocab-size (a job's data.vocab_size) must be ";
    REQUIRE(error.find((dir / "text.txt").string() + ": " + why + key) == 0);
    const auto advised = std::stoul(error.substr(error.find(key) + key.size()));
    options.vocab_size = static_cast<std::uint32_t>(static_cast<long>(advised) + step);
    CHECK_FALSE(error_of([&] { prepare_data(options); }).empty());
    options.vocab_size = static_cast<std::uint32_t>(advised);
    options.out = dir / std::to_string(size);
    CHECK(prepare_data(options).vocab == advised);
  }
}

TEST_CASE("a second preparation of the same text does nothing", "[files]") {
  const scratch dir;
  write_file(dir / "text.txt", prose(2000));
  auto options = options_for(dir, "spm");
  std::set<std::string> steps;
  options.progress = [&](const std::string& what, double done) {
    steps.insert(what);
    REQUIRE(done >= 0);
    REQUIRE(done <= 1);
  };
  CHECK_FALSE(prepare_data(options).reused);
  CHECK(steps.size() == 3);
  const auto written = fs::last_write_time(dir / "data/train.bin");
  steps.clear();
  options.out = dir / "data/"; // A trailing slash is the same folder.
  CHECK(prepare_data(options).reused);
  CHECK(steps.empty()); // Nothing is said to be done.
  CHECK(fs::last_write_time(dir / "data/train.bin") == written);
}

TEST_CASE("a damaged preparation is made anew", "[files]") {
  const scratch dir;
  write_file(dir / "text.txt", prose(500));
  const auto options = options_for(dir, "byte");
  prepare_data(options);
  const auto before = read_file(dir / "data/train.bin");
  flip(dir / "data/train.bin", 1000);
  CHECK_FALSE(prepare_data(options).reused);
  CHECK(read_file(dir / "data/train.bin") == before);
  fs::remove(dir / "data/val.bin");
  CHECK_FALSE(prepare_data(options).reused);
  CHECK(prepare_data(options).reused);
}

TEST_CASE("preparing below a folder named with a slash", "[files]") {
  const scratch dir;
  write_file(dir / "text.txt", prose(200));
  auto options = options_for(dir, "byte");
  options.out = dir / "new/data/";
  prepare_data(options);
  CHECK(dataset(dir / "new/data", 16).vocab() == 257);
}

TEST_CASE("an epoch's order is a permutation", "[files]") {
  for (const std::uint64_t size : {1, 2, 3, 5, 64, 100, 1000, 4097})
    for (const std::uint64_t key : {0, 99}) {
      std::vector<bool> seen(size);
      for (std::uint64_t i = 0; i < size; ++i) {
        const auto to = permuted(i, size, key);
        REQUIRE(to < size);
        REQUIRE_FALSE(seen[to]);
        seen[to] = true;
      }
    }
}

TEST_CASE("an epoch visits each window once, the next in another order", "[files]") {
  const scratch dir;
  write_file(dir / "text.txt", prose(200));
  prepare_data(options_for(dir, "byte"));
  constexpr std::uint32_t context = 32, rows = 3, microbatches = 4;
  const dataset data{dir / "data", context};
  const token_file file{dir / "data/train.bin"};
  REQUIRE(data.windows() == (file.size() - 1) / context);
  std::multiset<std::vector<std::int64_t>> expected;
  const auto all = content(file);
  for (std::uint64_t w = 0; w < data.windows(); ++w) {
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(w * context);
    expected.emplace(first, first + context + 1);
  }
  std::vector<std::vector<std::int64_t>> epochs[2];
  for (std::uint64_t g = 0; g < 2 * data.windows(); ++g) {
    const auto iteration = g / rows / microbatches + 1;
    const auto microbatch = static_cast<std::uint32_t>(g / rows % microbatches);
    const auto tokens = data.sample(5, iteration, microbatch, microbatches, rows);
    REQUIRE(tokens.size() == rows * (context + 1));
    const auto row = tokens.begin() + static_cast<std::ptrdiff_t>(g % rows * (context + 1));
    epochs[g / data.windows()].emplace_back(row, row + context + 1);
  }
  for (const auto& epoch : epochs)
    CHECK(std::multiset<std::vector<std::int64_t>>(epoch.begin(), epoch.end()) == expected);
  CHECK(epochs[0] != epochs[1]);
  CHECK(data.sample(5, 3, 1, 4, 2) != data.sample(6, 3, 1, 4, 2));
}

TEST_CASE("validation rows are fixed and spread over the held-out part", "[files]") {
  const scratch dir;
  write_file(dir / "text.txt", prose(1000));
  prepare_data(options_for(dir, "byte"));
  const dataset data{dir / "data", 16};
  const auto all = content(token_file{dir / "data/val.bin"});
  std::set<std::vector<std::int64_t>> rows;
  for (std::uint32_t batch = 0; batch < 4; ++batch) {
    const auto tokens = data.validation(batch, 4, 2);
    CHECK(tokens == dataset(dir / "data", 16).validation(batch, 4, 2));
    for (const auto at : {tokens.begin(), tokens.begin() + 17}) {
      rows.emplace(at, at + 17);
      CHECK(std::search(all.begin(), all.end(), at, at + 17) != all.end());
    }
  }
  CHECK(rows.size() == 8);
}

TEST_CASE("samples from many threads equal those from one", "[files]") {
  const scratch dir;
  write_file(dir / "text.txt", prose(300));
  prepare_data(options_for(dir, "byte"));
  const dataset data{dir / "data", 16};
  std::vector<std::vector<std::int64_t>> results(8);
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < 8; ++i)
    threads.emplace_back([&, i] { results[i] = data.sample(1, 1, i, 8, 4); });
  for (auto& thread : threads)
    thread.join();
  for (std::uint32_t i = 0; i < 8; ++i)
    CHECK(results[i] == data.sample(1, 1, i, 8, 4));
}

TEST_CASE("the text of a Debian machine is found, or the package is named", "[files]") {
  std::vector<fs::path> files;
  const auto missing = error_of([&] { files = corpus_files("debian"); });
  if (!missing.empty()) {
    CHECK(missing.find("apt-get install perl-doc") != std::string::npos);
    return;
  }
  std::uintmax_t bytes = 0;
  for (const auto& file : files)
    bytes += fs::file_size(file);
  CHECK(bytes > 3'000'000);
}
