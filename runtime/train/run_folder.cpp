#include "runtime/train/run_folder.hpp"

#include "model/checkpoint_folder.hpp"

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

std::string left_behind(const fs::path& dir) {
  return model::list_checkpoints(dir / "checkpoints").empty()
             ? "stopped at once; " + dir.string()
                   + " is left without a checkpoint and can be removed"
             : "stopped at once; to go on from the newest checkpoint: skippipe train JOB.toml "
               "--resume "
                   + dir.string();
}

} // namespace skippipe::runtime
