// Where a run keeps what it makes: runs/NAME-N.
#pragma once

#include <filesystem>
#include <string>

namespace skippipe::runtime {

/// Creates `wanted`, or the first free runs/NAME-N where it is empty. Throws std::runtime_error with
/// one line.
std::filesystem::path create_run_folder(const std::filesystem::path& wanted,
                                        const std::string& name);

/// The job that a run is of, overrides included; people put a job.toml of theirs beside it.
inline constexpr const char* run_job = "given-job.toml";

/// A new run must not mix with an older one, nor with anything else. Throws std::runtime_error with one line
/// where `wanted` holds checkpoints, or something and no run; nothing is changed then.
void refuse_used_folder(const std::filesystem::path& wanted);

/// Whether both name one folder, however they are written. Empty ones name none.
bool same_folder(const std::filesystem::path& a, const std::filesystem::path& b);

/// What a run that never came to a checkpoint left there is moved into earlier-N below it. Returns that
/// folder, empty where there was nothing. Throws std::runtime_error.
std::filesystem::path set_remains_aside(const std::filesystem::path& dir);

/// A run folder belongs to one process that trains at a time.
class run_folder_lock {
public:
  /// Throws std::runtime_error with one line while another process holds `dir`.
  explicit run_folder_lock(const std::filesystem::path& dir);
  ~run_folder_lock();
  run_folder_lock(const run_folder_lock&) = delete;
  run_folder_lock& operator=(const run_folder_lock&) = delete;

private:
  int file_;
};

/// What to say of the folder of a run that ends at once: one line. `command`: see training_request.
std::string left_behind(const std::filesystem::path& dir, const std::string& command);

} // namespace skippipe::runtime
