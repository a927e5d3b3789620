// train --cluster and attach: a job on a cluster, as the person or program in front of it sees it.
#pragma once

#include "runtime/config/job_config.hpp"
#include "runtime/daemon/client.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace skippipe::runtime::daemon {

struct submission {
  std::filesystem::path file;
  std::vector<std::string> overrides;
  std::string run_dir, resume; ///< On the scheduler's machine.
  std::string command;         ///< How it goes on later, once --cluster and --resume are added.
  std::uint64_t last = 0;      ///< 0: as the job says.
  bool detach = false, json = false;
};

/// Prepares the data here, submits, follows unless `detach`. Ctrl-C detaches. Returns the exit code.
int submit_job(const cluster_words& where, const submission& what);
int attach_job(const cluster_words& where, const std::string& job, bool json);

} // namespace skippipe::runtime::daemon
