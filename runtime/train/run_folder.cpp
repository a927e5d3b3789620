#include "runtime/train/run_folder.hpp"

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

} // namespace skippipe::runtime
