// What the scheduler's daemon remembers of a job, also over a power loss.
#pragma once

#include "runtime/daemon/messages.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace skippipe::runtime::daemon {

enum class job_state { queued, running, done, stopped, failed };
std::string to_string(job_state state);

/// A verified copy of a checkpoint in a node's state folder.
struct held_copy {
  std::string node;
  std::uint64_t iteration = 0;
  file_set files;
};

struct job_record {
  std::string id;           ///< NAME-N.
  std::uint64_t number = 0; ///< By which jobs come in the order of their submission.
  std::string file, text;
  std::vector<std::string> overrides;
  std::string run_dir;    ///< Empty: not chosen yet.
  std::string resume;     ///< Where the first start goes on from; empty: a fresh start.
  std::uint64_t last = 0; ///< Stop after this iteration; 0: as the job says.
  file_set data;
  std::uint32_t microbatches = 0; ///< Of an iteration, as first started; 0: not yet.
  std::vector<std::string> nodes; ///< That it runs on, or ran on last.
  job_state state = job_state::queued;
  std::string outcome;           ///< Why it failed, or its last checkpoint.
  std::uint64_t iteration = 0;   ///< Committed last, as far as known here.
  std::vector<held_copy> copies; ///< Of its checkpoints, by iteration.
};

/// A file per job in a folder; the newest state of each is durable when `keep` returns.
class job_book {
public:
  /// Throws std::runtime_error where the folder cannot be used.
  explicit job_book(std::filesystem::path folder);
  /// All that are known, in the order of their submission; damaged files are passed over and named in
  /// `problems`.
  std::vector<job_record> load(std::vector<std::string>& problems) const;
  void keep(const job_record& record) const;

private:
  std::filesystem::path folder_;
};

} // namespace skippipe::runtime::daemon
