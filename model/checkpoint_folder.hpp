// The folder that holds a run's checkpoints: step-00000123 for each, anything else is unfinished.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace skippipe::model {

inline constexpr const char* manifest_name = "manifest.json";

struct checkpoint_entry {
  std::uint64_t iteration = 0;
  std::filesystem::path path;
};

/// "step-00000123".
std::filesystem::path checkpoint_name(std::uint64_t iteration);

/// Complete ones by iteration, the oldest first; none where `root` does not exist. Does not verify.
std::vector<checkpoint_entry> list_checkpoints(const std::filesystem::path& root);

/// Removes what a killed writer or removal left behind. To be called before a run starts to write.
/// Returns how many folders it removed.
std::size_t clean_checkpoints(const std::filesystem::path& root);

/// Removes the oldest checkpoints so that `keep` stay; 0 keeps all. A removal that is interrupted
/// leaves no folder that looks complete. Throws std::runtime_error.
void retain_checkpoints(const std::filesystem::path& root, std::size_t keep);

/// The newest checkpoint that verifies: `where` itself if it is a checkpoint, else the newest below
/// it or below its folder "checkpoints". Throws std::runtime_error with the newest one's problem
/// where none verifies.
std::filesystem::path newest_verified(const std::filesystem::path& where);

} // namespace skippipe::model
