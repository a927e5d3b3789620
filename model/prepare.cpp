#include "model/prepare.hpp"

#include "model/dataset.hpp"
#include "model/file_io.hpp"
#include "model/hash.hpp"
#include "model/token_file.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <stdexcept>

namespace skippipe::model {

namespace fs = std::filesystem;

namespace {

constexpr int data_version = 1;
constexpr const char* data_json = "data.json";

std::vector<fs::path> files_under(const std::vector<fs::path>& inputs) {
  std::vector<fs::path> result;
  for (const auto& input : inputs) {
    if (fs::is_regular_file(input)) {
      result.push_back(input);
      continue;
    }
    if (!fs::is_directory(input))
      throw std::runtime_error(input.string() + ": no such file or folder; check --input");
    std::vector<fs::path> found;
    for (const auto& entry : fs::recursive_directory_iterator{input})
      if (entry.is_regular_file())
        found.push_back(entry.path());
    std::sort(found.begin(), found.end());
    result.insert(result.end(), found.begin(), found.end());
  }
  if (result.empty())
    throw std::runtime_error("no text files found; check --input");
  return result;
}

struct document {
  std::string text;
  bool held_out = false;
};

/// The held-out part must not be empty: with few documents the smallest hash is held out.
std::vector<document> load(const std::vector<fs::path>& files, std::uint64_t& content) {
  std::vector<document> result;
  std::vector<std::uint64_t> hashes;
  for (const auto& file : files) {
    document next;
    next.text = read_text(file);
    if (next.text.find('\0') != std::string::npos)
      throw std::runtime_error(file.string() + ": not a text file; leave it out of --input");
    const auto hash = hash_bytes(next.text.data(), next.text.size());
    content = mix(content ^ hash);
    hashes.push_back(hash);
    next.held_out = mix(hash) % 20 == 0;
    result.push_back(std::move(next));
  }
  if (result.size() == 1) { // Its last twentieth, then.
    const auto cut = result[0].text.size() - result[0].text.size() / 20;
    document tail{result[0].text.substr(cut), true};
    result[0].text.resize(cut);
    result.push_back(std::move(tail));
  } else if (std::none_of(result.begin(), result.end(), [](auto& d) { return d.held_out; })) {
    result[static_cast<std::size_t>(std::min_element(hashes.begin(), hashes.end())
                                    - hashes.begin())]
        .held_out = true;
  }
  return result;
}

/// Without a trailing slash, which would put the folder made aside inside the final one.
fs::path folder_of(const fs::path& out) {
  const auto plain = fs::absolute(out).lexically_normal();
  return plain.has_filename() ? plain : plain.parent_path();
}

/// Takes what an earlier run prepared; false where it is damaged and has to be made anew.
bool reuse(const fs::path& out, prepare_result& result) {
  try {
    const dataset data{out, 1};
    data.load_tokenizer();
    const token_file held{out / "val.bin"};
    result.train_tokens = data.tokens();
    result.validation_tokens = held.size();
    result.vocab = data.vocab();
    result.reused = true;
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

} // namespace

prepare_result prepare_data(const prepare_options& options) {
  const auto report = [&](const std::string& what, double done) {
    if (options.progress)
      options.progress(what, done);
  };
  if (options.tokenizer != "byte" && options.tokenizer != "spm")
    throw std::runtime_error("unknown tokenizer '" + options.tokenizer + "'; choose byte or spm");
  prepare_result result;
  const auto out = folder_of(options.out);
  const bool made_before = fs::exists(out / data_json);
  if (!made_before) // Else most likely nothing is to be prepared.
    report("reading text", 0);
  std::uint64_t content = data_version;
  auto documents = load(files_under(options.inputs), content);
  for (const auto& d : documents)
    result.bytes += d.text.size();
  if (result.bytes == 0)
    throw std::runtime_error(options.inputs.front().string()
                             + ": no text in it; name files with text in --input");
  result.documents = documents.size();
  nlohmann::json wanted = {{"format", "skippipe-data"},
                           {"version", data_version},
                           {"tokenizer", options.tokenizer},
                           {"vocab_size", options.tokenizer == "spm" ? options.vocab_size : 257},
                           {"content", content}};

  if (made_before) {
    const auto old = nlohmann::json::parse(read_text(out / data_json), nullptr, false);
    if (!old.is_object() || old.value("inputs", nlohmann::json{}) != wanted)
      throw std::runtime_error(out.string()
                               + ": holds other data already; choose another --out or remove it");
    if (reuse(out, result))
      return result;
  } else if (fs::exists(out) && !(fs::is_directory(out) && fs::is_empty(out))) {
    throw std::runtime_error(out.string() + ": holds something else already; choose another --out");
  }

  auto aside = out;
  aside += ".tmp";
  fs::remove_all(aside);
  std::error_code problem;
  fs::create_directories(aside, problem);
  if (problem)
    throw std::runtime_error(aside.string() + ": cannot be created: " + problem.message()
                             + "; choose a folder that you may write to");
  try {
    std::unique_ptr<tokenizer> tokens;
    if (options.tokenizer == "spm") {
      report("training the tokenizer", 0);
      std::string text;
      for (const auto& d : documents)
        if (!d.held_out)
          text += d.text;
      try {
        train_spm(text, options.vocab_size, aside / "tokenizer.model");
      } catch (const std::runtime_error& problem) {
        const auto more = options.inputs.size() - 1;
        throw std::runtime_error(options.inputs.front().string()
                                 + (more > 0 ? " and " + std::to_string(more) + " more" : "") + ": "
                                 + problem.what());
      }
      tokens = load_spm(aside / "tokenizer.model");
    } else {
      tokens = make_byte_tokenizer();
    }
    std::vector<std::int32_t> train, held;
    std::uint64_t done = 0;
    for (const auto& d : documents) {
      auto& target = d.held_out ? held : train;
      const auto ids = tokens->encode(d.text);
      target.insert(target.end(), ids.begin(), ids.end());
      target.push_back(tokens->end_of_text());
      done += d.text.size();
      report("tokenizing", static_cast<double>(done) / static_cast<double>(result.bytes));
    }
    result.vocab = tokens->vocab_size();
    result.train_tokens = train.size();
    result.validation_tokens = held.size();
    write_token_file(aside / "train.bin", train, result.vocab);
    write_token_file(aside / "val.bin", held, result.vocab);
    const nlohmann::json described = {{"inputs", wanted},
                                      {"documents", result.documents},
                                      {"bytes", result.bytes},
                                      {"train_tokens", result.train_tokens},
                                      {"validation_tokens", result.validation_tokens},
                                      {"vocab", result.vocab}};
    write_whole(aside / data_json, [&](output_file& file) {
      const auto text = described.dump(1) + "\n";
      file.write(std::as_bytes(std::span{text}));
    });
    if (made_before) // Damaged, or reuse() would have taken it.
      fs::remove_all(out);
    fs::rename(aside, out);
    sync_directory(out.parent_path());
  } catch (...) {
    fs::remove_all(aside, problem);
    throw;
  }
  return result;
}

std::vector<fs::path> corpus_files(const std::string& name) {
  if (name != "debian")
    throw std::runtime_error("unknown corpus '" + name + "'; the built-in one is \"debian\"");
  // A table of code points and a list of headings: no prose to learn from.
  const auto prose = [](const fs::path& file) {
    return file.filename() != "perluniprops.pod" && file.filename() != "perltoc.pod";
  };
  std::vector<fs::path> result;
  const fs::path root = "/usr/share/perl";
  if (fs::is_directory(root))
    for (const auto& version : fs::directory_iterator{root})
      if (!version.is_symlink() && fs::is_directory(version.path() / "pod"))
        for (const auto& entry : fs::directory_iterator{version.path() / "pod"})
          if (entry.path().extension() == ".pod" && prose(entry.path()))
            result.push_back(entry.path());
  std::sort(result.begin(), result.end());
  if (result.size() < 100)
    throw std::runtime_error("the text of the quickstart is not installed: apt-get install "
                             "perl-doc (or run ./tools/setup), or name your own text with "
                             "`skippipe data prepare`");
  return result;
}

} // namespace skippipe::model
