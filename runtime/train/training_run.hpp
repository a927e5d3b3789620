// One embedded training job from its config to its last report.
#pragma once

#include "actors/job_scheduler.hpp"
#include "runtime/config/job_config.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace skippipe::runtime {

struct training_request {
  job_config job;
  std::filesystem::path run_dir;    ///< Empty: the next free runs/NAME-N.
  std::filesystem::path resume;     ///< A run folder or a checkpoint; empty: a fresh start.
  std::optional<iteration_no> last; ///< Where to stop; the schedule keeps total_iterations.
  bool json = false;
  std::string command; ///< How it goes on later, once --resume RUN is added.
};

/// Runs in front until done, Ctrl-C or failure; returns the exit code. User errors throw
/// std::runtime_error with one line.
int run_training(const training_request& request);

} // namespace skippipe::runtime
