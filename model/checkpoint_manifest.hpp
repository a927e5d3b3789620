// manifest.json: what a checkpoint is of, and the checksum of each of its files.
#pragma once

#include "model/options.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace skippipe::model {

struct checkpoint_file {
  std::string name; ///< Within the folder.
  std::uint64_t size = 0;
  std::string sha256; ///< 64 hexadecimal digits.
  friend bool operator==(const checkpoint_file&, const checkpoint_file&) = default;
};

struct checkpoint_manifest {
  std::uint64_t iteration = 0; ///< The commit whose weights these are.
  std::string job;
  model_options model;
  optimizer_options optimizer;
  std::uint32_t stages = 0;
  std::vector<std::uint32_t> layers_per_stage;
  std::uint32_t path_length = 0;
  std::uint32_t microbatches = 0; ///< Per iteration.
  std::uint32_t microbatch_size = 0;
  bool deterministic = false;
  std::uint64_t seed = 0;
  std::uint64_t data = 0; ///< dataset::checksum.
  std::string tokenizer;  ///< "byte" or "spm".
  std::vector<checkpoint_file> files;
  friend bool operator==(const checkpoint_manifest&, const checkpoint_manifest&) = default;
};

std::string encode_manifest(const checkpoint_manifest& manifest);

/// Throws std::runtime_error naming `where` and the key; unknown versions are refused.
checkpoint_manifest decode_manifest(std::string_view text, const std::filesystem::path& where);

} // namespace skippipe::model
