#include "model/checkpoint_writer.hpp"

#include "model/checkpoint_folder.hpp"
#include "model/file_io.hpp"

#include <fcntl.h>
#include <stdio.h>

#include <cstdio>
#include <stdexcept>

namespace skippipe::model {

namespace fs = std::filesystem;

namespace {

constexpr const char* values_suffix = ".safetensors";
constexpr const char* optimizer_suffix = ".optimizer.safetensors";

void require(const std::error_code& problem, const fs::path& where, const char* what) {
  if (problem)
    throw std::runtime_error(where.string() + ": " + what + ": " + problem.message()
                             + "; check its disk and permissions or choose another folder");
}

} // namespace

std::string stage_file_stem(std::uint32_t stage) {
  char name[32];
  std::snprintf(name, sizeof name, "stage-%02u", stage);
  return name;
}

checkpoint_writer::checkpoint_writer(fs::path root, std::uint64_t iteration)
    : root_(std::move(root)), aside_(root_ / ("." + checkpoint_name(iteration).string() + ".tmp")),
      final_(root_ / checkpoint_name(iteration)), iteration_(iteration) {
  std::error_code problem;
  fs::create_directories(root_, problem);
  require(problem, root_, "cannot be created");
  fs::remove_all(aside_, problem);
  require(problem, aside_, "cannot be removed");
  fs::create_directory(aside_, problem);
  require(problem, aside_, "cannot be created");
}

checkpoint_writer::~checkpoint_writer() {
  std::error_code ignored;
  if (!finished_)
    fs::remove_all(aside_, ignored);
}

void checkpoint_writer::write_stage(std::uint32_t stage, std::span<const named_tensor> values,
                                    std::span<const named_tensor> optimizer) {
  write_file(stage_file_stem(stage) + values_suffix, values);
  write_file(stage_file_stem(stage) + optimizer_suffix, optimizer);
}

void checkpoint_writer::write_file(const std::string& name, std::span<const named_tensor> tensors) {
  const auto path = aside_ / name;
  checkpoint_file file{name, 0, write_safetensors(path, tensors)};
  file.size = fs::file_size(path);
  const std::lock_guard lock{mutex_};
  files_[name] = std::move(file);
}

void checkpoint_writer::adopt(const std::string& name, const fs::path& from) {
  const auto path = aside_ / name;
  std::error_code problem;
  fs::rename(from, path, problem);
  require(problem, path, "cannot be renamed into place");
  const mapped_file file{path};
  const std::lock_guard lock{mutex_};
  files_[name] = {name, file.bytes().size(), sha256(file.bytes())};
}

std::vector<std::string> checkpoint_writer::written() const {
  const std::lock_guard lock{mutex_};
  std::vector<std::string> names;
  for (const auto& [name, file] : files_)
    names.push_back(name);
  return names;
}

fs::path checkpoint_writer::finish(checkpoint_manifest manifest) {
  manifest.iteration = iteration_;
  manifest.files.clear();
  {
    const std::lock_guard lock{mutex_};
    for (std::uint32_t stage = 0; stage < manifest.stages; ++stage)
      for (const char* suffix : {values_suffix, optimizer_suffix}) {
        const auto found = files_.find(stage_file_stem(stage) + suffix);
        if (found == files_.end())
          throw std::runtime_error(final_.string() + ": stage " + std::to_string(stage)
                                   + " was not written; the checkpoint is given up");
        manifest.files.push_back(found->second);
      }
  }
  const auto text = encode_manifest(manifest);
  write_whole(aside_ / manifest_name,
              [&](output_file& file) { file.write(std::as_bytes(std::span{text})); });
  publish();
  return final_;
}

void checkpoint_writer::publish() {
  std::error_code problem;
  if (fs::exists(final_, problem)) {
    // Exchanged in one step, so that at no moment neither of the two is there.
    if (::renameat2(AT_FDCWD, aside_.c_str(), AT_FDCWD, final_.c_str(), RENAME_EXCHANGE) != 0) {
      const auto old = root_ / ("." + final_.filename().string() + ".old");
      fs::remove_all(old, problem);
      fs::rename(final_, old, problem);
      require(problem, final_, "cannot be replaced");
      fs::rename(aside_, final_, problem);
      require(problem, final_, "cannot be renamed into place");
      fs::remove_all(old, problem);
    } else {
      fs::remove_all(aside_, problem);
    }
  } else {
    fs::rename(aside_, final_, problem);
    require(problem, final_, "cannot be renamed into place");
  }
  finished_ = true;
  sync_directory(root_);
}

} // namespace skippipe::model
