// Writes one checkpoint: complete or absent (R9).
#pragma once

#include "model/checkpoint_manifest.hpp"
#include "model/safetensors.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace skippipe::model {

/// All stages write into a hidden folder beside the final one, each file synced and hashed;
/// finish() writes the manifest last and renames. Unless finish() succeeds the destructor removes it all.
/// Errors throw std::runtime_error with one line; earlier checkpoints stay as they are.
class checkpoint_writer {
public:
  /// Makes `root` where it is missing.
  checkpoint_writer(std::filesystem::path root, std::uint64_t iteration);
  ~checkpoint_writer();
  checkpoint_writer(const checkpoint_writer&) = delete;
  checkpoint_writer& operator=(const checkpoint_writer&) = delete;

  /// Writes stage-SS.safetensors (Hugging Face LLaMA names) and stage-SS.optimizer.safetensors
  /// (the same with .exp_avg and .exp_avg_sq). Different stages may call at the same time.
  void write_stage(std::uint32_t stage, std::span<const named_tensor> values,
                   std::span<const named_tensor> optimizer);

  /// Takes over a file of a stage that was written elsewhere, under the name that write_stage gives it.
  void adopt(const std::string& name, const std::filesystem::path& from);

  /// Where the files lie until finish(), and the names of those that are complete.
  const std::filesystem::path& folder() const { return aside_; }
  std::vector<std::string> written() const;

  /// Completes the manifest with iteration and files, and publishes. A checkpoint of the same
  /// iteration is replaced. Throws where a stage is missing. Returns the folder.
  std::filesystem::path finish(checkpoint_manifest manifest);

private:
  void write_file(const std::string& name, std::span<const named_tensor> tensors);
  void publish();

  std::filesystem::path root_, aside_, final_;
  std::uint64_t iteration_;
  bool finished_ = false;
  mutable std::mutex mutex_;
  std::map<std::string, checkpoint_file> files_; ///< By name; guarded by mutex_.
};

/// "stage-07".
std::string stage_file_stem(std::uint32_t stage);

} // namespace skippipe::model
