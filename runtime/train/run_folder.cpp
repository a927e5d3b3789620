#include "runtime/train/run_folder.hpp"

#include "model/checkpoint_folder.hpp"
#include "runtime/train/go_on.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
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

namespace {

/// What a run makes in its folder, apart from checkpoints; the lock is there first.
constexpr const char* remains[] = {"journal", "trace", "plans", run_job};

bool is_of_a_run(const fs::path& dir) {
  const auto has = [&](const char* name) {
    std::error_code unreadable;
    return fs::exists(dir / name, unreadable);
  };
  return has("lock") || has("checkpoints")
         || std::any_of(std::begin(remains), std::end(remains), has);
}

} // namespace

void refuse_used_folder(const fs::path& wanted) {
  if (wanted.empty())
    return;
  if (!model::list_checkpoints(wanted / "checkpoints").empty())
    throw std::runtime_error(wanted.string() + ": holds a run already; go on with --resume "
                             + wanted.string() + ", or choose another folder with --run-dir");
  std::error_code unreadable; // Then making the run's files says more.
  if (fs::is_directory(wanted, unreadable) && !fs::is_empty(wanted, unreadable) && !unreadable
      && !is_of_a_run(wanted))
    throw std::runtime_error(wanted.string()
                             + ": holds something else than a run; choose an empty or a new folder "
                               "with --run-dir");
}

bool same_folder(const fs::path& a, const fs::path& b) {
  std::error_code problem;
  return !a.empty() && !b.empty()
         && fs::weakly_canonical(a, problem) == fs::weakly_canonical(b, problem);
}

fs::path set_remains_aside(const fs::path& dir) {
  fs::path aside;
  for (const char* name : remains) {
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

std::string left_behind(const fs::path& dir, const std::string& command) {
  return model::list_checkpoints(dir / "checkpoints").empty()
             ? "stopped at once; " + dir.string()
                   + " is left without a checkpoint and can be removed"
             : "stopped at once; to go on from the newest checkpoint: " + command + " --resume "
                   + shell_word(dir.string());
}

} // namespace skippipe::runtime
