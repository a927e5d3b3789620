// Text files to a prepared data folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace skippipe::model {

struct prepare_options {
  std::vector<std::filesystem::path> inputs; ///< Files, or folders walked in name order.
  std::string tokenizer = "spm";             ///< "byte" or "spm".
  std::uint32_t vocab_size = 2048;           ///< spm only.
  std::filesystem::path out;
  /// Called with what is being done and how far it is, 0..1.
  std::function<void(const std::string& what, double done)> progress;
};

struct prepare_result {
  std::uint64_t documents = 0, bytes = 0, train_tokens = 0, validation_tokens = 0;
  std::uint32_t vocab = 0;
  bool reused = false; ///< The folder held this very data already.
};

/// Every twentieth document, by a hash of its content, is held out for validation. The folder is
/// built aside and renamed: it is complete or absent, and one that holds the result of the same
/// inputs and settings is left as it is. Failures throw std::runtime_error with one line.
prepare_result prepare_data(const prepare_options& options);

/// The text files of the built-in corpus `name` ("debian": the Perl manual, package perl-doc, eight
/// megabytes of technical English). Throws std::runtime_error naming the package to install.
std::vector<std::filesystem::path> corpus_files(const std::string& name);

} // namespace skippipe::model
