#include "runtime/train/run_folder.hpp"

#include "model/checkpoint_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace skippipe::runtime {

namespace fs = std::filesystem;

fs::path create_run_folder(const fs::path& wanted, const std::string& name) {
  std::error_code problem;
  const auto fail = [&](const fs::path& dir) {
    throw std::runtime_error(dir.string() + ": cannot be created: " + problem.message()
                             + "; choose another folder with --run-dir");
  };
  if (!wanted.empty()) {
    fs::create_directories(wanted, problem);
    if (problem)
      fail(wanted);
    return wanted;
  }
  const fs::path runs = "runs";
  fs::create_directories(runs, problem);
  if (problem)
    fail(runs);
  for (int n = 1;; ++n) {
    const auto dir = runs / (name + "-" + std::to_string(n));
    if (fs::create_directory(dir, problem))
      return dir;
    if (problem)
      fail(dir);
  }
}

void refuse_used_folder(const fs::path& wanted) {
  if (!wanted.empty() && !model::list_checkpoints(wanted / "checkpoints").empty())
    throw std::runtime_error(wanted.string() + ": holds a run already; go on with --resume "
                             + wanted.string() + ", or choose another folder with --run-dir");
}

fs::path set_remains_aside(const fs::path& dir) {
  fs::path aside;
  for (const char* name : {"journal", "trace", "plans"}) {
    if (!fs::exists(dir / name))
      continue;
    for (int n = 1; aside.empty(); ++n)
      if (const auto free = dir / ("earlier-" + std::to_string(n)); fs::create_directory(free))
        aside = free;
    fs::rename(dir / name, aside / name);
  }
  return aside;
}

run_folder_lock::run_folder_lock(const fs::path& dir)
    : file_(::open((dir / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
  if (file_ < 0)
    throw std::runtime_error(dir.string() + ": cannot be written: " + std::strerror(errno)
                             + "; choose another folder with --run-dir");
  // A file system without locks is no reason not to train.
  if (::flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(file_);
    throw std::runtime_error(dir.string()
                             + ": another process trains in this run folder; stop it, or choose "
                               "another folder with --run-dir");
  }
}

run_folder_lock::~run_folder_lock() { ::close(file_); }

std::string left_behind(const fs::path& dir) {
  return model::list_checkpoints(dir / "checkpoints").empty()
             ? "stopped at once; " + dir.string()
                   + " is left without a checkpoint and can be removed"
             : "stopped at once; to go on from the newest checkpoint: skippipe train JOB.toml "
               "--resume "
                   + dir.string();
}

} // namespace skippipe::runtime
