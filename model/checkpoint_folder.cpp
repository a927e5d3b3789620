#include "model/checkpoint_folder.hpp"

#include "model/checkpoint_reader.hpp"
#include "model/file_io.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace skippipe::model {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view prefix = "step-";

std::optional<std::uint64_t> iteration_of(const std::string& name) {
  const auto digits = std::string_view(name).substr(std::min(prefix.size(), name.size()));
  if (!name.starts_with(prefix) || digits.size() < 8 || digits.size() > 18
      || digits.find_first_not_of("0123456789") != std::string_view::npos)
    return std::nullopt;
  return std::stoull(std::string{digits});
}

bool unfinished(const std::string& name) {
  return name.starts_with("." + std::string{prefix})
         && (name.ends_with(".tmp") || name.ends_with(".old"));
}

} // namespace

fs::path checkpoint_name(std::uint64_t iteration) {
  char name[32];
  std::snprintf(name, sizeof name, "step-%08llu", static_cast<unsigned long long>(iteration));
  return name;
}

std::vector<checkpoint_entry> list_checkpoints(const fs::path& root) {
  std::vector<checkpoint_entry> result;
  std::error_code problem;
  for (fs::directory_iterator it(root, problem), end; !problem && it != end; it.increment(problem))
    if (const auto iteration = iteration_of(it->path().filename().string());
        iteration && it->is_directory(problem))
      result.push_back({*iteration, it->path()});
  std::sort(result.begin(), result.end(),
            [](const auto& a, const auto& b) { return a.iteration < b.iteration; });
  return result;
}

std::size_t clean_checkpoints(const fs::path& root) {
  std::vector<fs::path> leftovers;
  std::error_code problem;
  for (fs::directory_iterator it(root, problem), end; !problem && it != end; it.increment(problem))
    if (unfinished(it->path().filename().string()))
      leftovers.push_back(it->path());
  for (const auto& path : leftovers)
    fs::remove_all(path, problem);
  return leftovers.size();
}

void retain_checkpoints(const fs::path& root, std::size_t keep) {
  if (keep == 0)
    return;
  const auto all = list_checkpoints(root);
  for (std::size_t i = 0; i + keep < all.size(); ++i) {
    const auto& path = all[i].path;
    const auto aside = root / ("." + path.filename().string() + ".old");
    std::error_code problem;
    fs::remove_all(aside, problem);
    fs::rename(path, aside, problem);
    if (!problem)
      fs::remove_all(aside, problem);
    if (problem)
      throw std::runtime_error(path.string() + ": cannot be removed: " + problem.message()
                               + "; check the folder's permissions");
  }
}

fs::path newest_verified(const fs::path& where) {
  if (fs::exists(where / manifest_name)) {
    verify_checkpoint(where);
    return where;
  }
  auto all = list_checkpoints(where);
  if (all.empty())
    all = list_checkpoints(where / "checkpoints");
  std::string newest_problem;
  for (auto it = all.rbegin(); it != all.rend(); ++it) {
    try {
      verify_checkpoint(it->path);
      return it->path;
    } catch (const std::runtime_error& error) {
      if (newest_problem.empty())
        newest_problem = error.what();
    }
  }
  if (all.empty())
    throw std::runtime_error(where.string()
                             + ": no checkpoint here; name a run folder or a checkpoint");
  throw std::runtime_error(where.string() + ": none of " + std::to_string(all.size())
                           + " checkpoints verifies; the newest: " + newest_problem);
}

} // namespace skippipe::model
