// A checkpoint, mapped: its tensors by name, whatever stages wrote them.
#pragma once

#include "model/checkpoint_manifest.hpp"
#include "model/file_io.hpp"
#include "model/safetensors.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace skippipe::model {

/// Names of a parameter's AdamW moments: NAME.exp_avg and NAME.exp_avg_sq.
inline constexpr const char* exp_avg_suffix = ".exp_avg";
inline constexpr const char* exp_avg_sq_suffix = ".exp_avg_sq";

/// Immutable: safe from many threads. Checks the manifest, each file's size and structure, and that
/// every tensor of the model is there in its shape; not the checksums (verify_checkpoint does).
class checkpoint_reader {
public:
  /// Throws std::runtime_error with one line.
  explicit checkpoint_reader(std::filesystem::path folder);

  const std::filesystem::path& folder() const { return folder_; }
  const checkpoint_manifest& manifest() const { return manifest_; }
  /// Points into the mapping, which lives as long as the reader. Throws std::runtime_error.
  const named_tensor& tensor(const std::string& name) const;
  const std::map<std::string, named_tensor>& tensors() const { return tensors_; }

private:
  void map_file(const checkpoint_file& file);
  void check_complete() const;

  std::filesystem::path folder_;
  checkpoint_manifest manifest_;
  std::vector<std::unique_ptr<mapped_file>> files_;
  std::map<std::string, named_tensor> tensors_;
};

/// Reads all of it: everything checkpoint_reader checks, and every file's SHA-256. Throws
/// std::runtime_error naming what is wrong.
checkpoint_manifest verify_checkpoint(const std::filesystem::path& folder);

} // namespace skippipe::model
