// Training samples as a pure function of (seed, iteration, microbatch), and fixed validation ones.
#pragma once

#include "model/token_file.hpp"
#include "model/tokenizer.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace skippipe::model {

/// A prepared data folder: train.bin, val.bin, data.json and, for spm, tokenizer.model. Thread-safe.
class dataset {
public:
  /// Throws std::runtime_error with one line where something is missing or damaged, or too short
  /// for windows of `context` tokens.
  dataset(const std::filesystem::path& dir, std::uint32_t context);

  /// Rows of context + 1 tokens, row after row. The windows of an epoch come in a seeded order in
  /// which each comes once; which one a row gets depends on the arguments only, so the order of the
  /// data survives any change of nodes and any resume.
  std::vector<std::int64_t> sample(std::uint64_t seed, std::uint64_t iteration,
                                   std::uint32_t microbatch, std::uint32_t microbatches,
                                   std::uint32_t rows) const;

  /// Validation rows batch * rows ... of a fixed, evenly spread choice of windows.
  std::vector<std::int64_t> validation(std::uint32_t batch, std::uint32_t batches,
                                       std::uint32_t rows) const;

  std::uint32_t vocab() const { return train_.vocab(); }
  std::uint64_t windows() const { return windows_; } ///< Of the training part.
  std::uint64_t tokens() const { return train_.size(); }
  std::uint64_t checksum() const; ///< Names the data, for resume checks.
  std::unique_ptr<tokenizer> load_tokenizer() const;

private:
  void append(std::vector<std::int64_t>& out, const token_file& file, std::uint64_t window) const;

  std::filesystem::path dir_;
  token_file train_, validation_;
  std::uint32_t context_;
  std::uint64_t windows_ = 0, validation_windows_ = 0;
};

/// A permutation of 0..count-1 by key: a Feistel network on the next power of four, walked until it
/// lands inside.
std::uint64_t permuted(std::uint64_t index, std::uint64_t count, std::uint64_t key);

} // namespace skippipe::model
