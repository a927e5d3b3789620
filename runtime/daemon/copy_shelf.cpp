#include "runtime/daemon/copy_shelf.hpp"

#include "model/checkpoint_reader.hpp"

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace skippipe::runtime::daemon {

namespace fs = std::filesystem;

namespace {

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code problem;
  for (fs::directory_iterator it(folder, problem), end; !problem && it != end;
       it.increment(problem))
    found.push_back(it->path());
  return found;
}

bool verifies(const fs::path& folder) {
  try {
    model::verify_checkpoint(folder);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

} // namespace

copy_shelf::copy_shelf(fs::path root) : root_(std::move(root)) {
  for (const auto& job : entries_of(root_))
    for (const auto& folder : entries_of(job)) {
      const auto name = folder.filename().string();
      if (name.front() == '.')
        continue; // A fetch that was cut off; it goes on.
      try {
        if (const auto set = checkpoint_files(folder); set.id == name)
          files_.put(set, folder);
      } catch (const std::exception&) {
        // Damaged: nobody can ask for it, and the next order removes it.
      }
    }
}

void copy_shelf::take(const copy_order& order, const part_fetcher& fetch) {
  if (!is_plain_name(order.job))
    throw std::runtime_error("a copy for a job called '" + order.job + "'");
  const auto job = root_ / order.job;
  auto keep = order.keep;
  if (!order.files.id.empty()) {
    const auto folder = job / order.files.id;
    std::error_code ignored;
    if (is_plain_name(order.files.id) && fs::exists(folder) && !verifies(folder))
      fs::remove_all(folder, ignored);
    model::verify_checkpoint(fetch_files(order.files, job, fetch));
    files_.put(order.files, folder);
    keep.push_back(order.files.id);
  }
  for (const auto& folder : entries_of(job))
    if (std::find(keep.begin(), keep.end(), folder.filename().string()) == keep.end()) {
      files_.drop(folder.filename().string());
      std::error_code ignored;
      fs::remove_all(folder, ignored);
    }
}

} // namespace skippipe::runtime::daemon
