#include "runtime/daemon/copy_recovery.hpp"

#include "model/checkpoint_folder.hpp"
#include "model/checkpoint_reader.hpp"
#include "model/file_io.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>

namespace skippipe::runtime::daemon {

namespace fs = std::filesystem;

namespace {

/// Of the newest checkpoint that verifies; 0: none.
std::uint64_t newest_here(const fs::path& checkpoints) {
  auto all = model::list_checkpoints(checkpoints);
  for (auto it = all.rbegin(); it != all.rend(); ++it)
    try {
      model::verify_checkpoint(it->path);
      return it->iteration;
    } catch (const std::exception&) {
    }
  return 0;
}

/// Puts a verified folder in the place of whatever is at `to`.
void install(const fs::path& from, const fs::path& to) {
  std::error_code problem;
  fs::create_directories(to.parent_path(), problem);
  if (!problem)
    fs::remove_all(to, problem);
  if (!problem)
    fs::rename(from, to, problem);
  if (problem)
    throw std::runtime_error(to.string() + ": cannot be replaced: " + problem.message()
                             + "; check its disk and permissions");
  model::sync_directory(to.parent_path());
}

void fetch_copy(const fs::path& run_dir, const copy_source& source) {
  const auto aside = run_dir / ".fetched";
  std::error_code ignored;
  fs::remove_all(aside / source.copy.files.id, ignored); // Of an earlier try.
  const auto folder = fetch_files(source.copy.files, aside, source.fetch);
  const auto manifest = model::verify_checkpoint(folder);
  install(folder, run_dir / "checkpoints" / model::checkpoint_name(manifest.iteration));
  fs::remove_all(aside, ignored);
}

} // namespace

std::vector<std::string> recover_checkpoint(const fs::path& run_dir,
                                            const std::vector<copy_source>& copies,
                                            const std::function<void(const std::string&)>& note) {
  if (copies.empty())
    return {};
  const auto here = newest_here(run_dir / "checkpoints");
  auto newest_first = copies;
  std::stable_sort(newest_first.begin(), newest_first.end(), [](const auto& a, const auto& b) {
    return a.copy.iteration > b.copy.iteration;
  });
  std::set<std::string> absent;
  std::string problem;
  for (const auto& source : newest_first) {
    const auto& copy = source.copy;
    if (copy.iteration <= here)
      break;
    if (!source.fetch) {
      absent.insert(copy.node);
      continue;
    }
    try {
      fetch_copy(run_dir, source);
      note("checkpoint " + std::to_string(copy.iteration)
           + " is missing or damaged here: taken from the copy on node '" + copy.node + "'");
      return {};
    } catch (const std::exception& why) {
      problem = "node '" + copy.node + "': " + why.what();
      note("the copy of checkpoint " + std::to_string(copy.iteration)
           + " cannot be used: " + problem);
    }
  }
  if (here != 0)
    return {};
  if (absent.empty())
    throw std::runtime_error(run_dir.string()
                             + ": no checkpoint of the job is left, here or on other nodes ("
                             + problem + "); submit it again");
  return {absent.begin(), absent.end()};
}

} // namespace skippipe::runtime::daemon
