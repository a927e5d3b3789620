#include "runtime/daemon/files.hpp"

#include "model/checkpoint_folder.hpp"
#include "model/checkpoint_manifest.hpp"
#include "model/file_io.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace skippipe::runtime::daemon {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(const fs::path& file, const char* what) {
  throw std::runtime_error(file.string() + ": " + what + ": " + std::strerror(errno)
                           + "; check its disk and permissions");
}

std::string id_of(const std::vector<file_entry>& files) {
  std::string text;
  for (const auto& file : files)
    text += file.name + ' ' + std::to_string(file.size) + ' ' + file.sha256 + '\n';
  return model::sha256(std::as_bytes(std::span{text}));
}

void check_set(const file_set& set) {
  if (set.files.empty() || id_of(set.files) != set.id)
    throw std::runtime_error("a set of files whose id does not fit its list");
  for (const auto& file : set.files)
    if (!is_plain_name(file.name))
      throw std::runtime_error("a set of files with the name '" + file.name + "'");
}

struct descriptor {
  explicit descriptor(int number) : fd(number) {}
  ~descriptor() {
    if (fd >= 0)
      ::close(fd);
  }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  int fd;
};

void fetch_file(const file_set& set, const file_entry& file, const fs::path& folder,
                const part_fetcher& fetch) {
  const auto path = folder / file.name;
  const descriptor out{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)};
  if (out.fd < 0)
    fail(path, "cannot be created");
  model::sha256_sum sum;
  std::uint64_t done = 0;
  std::vector<char> bytes(part_bytes);
  // What an earlier fetch has left counts.
  for (ssize_t n; done < file.size && (n = ::read(out.fd, bytes.data(), bytes.size())) > 0;) {
    const auto size = std::min<std::uint64_t>(static_cast<std::uint64_t>(n), file.size - done);
    sum.add(std::as_bytes(std::span{bytes.data(), size}));
    done += size;
  }
  while (done < file.size) {
    const auto part = fetch({set.id, file.name, done});
    if (!part.error.empty())
      throw std::runtime_error(file.name + " cannot be fetched: " + part.error);
    if (part.bytes.empty() || part.bytes.size() > file.size - done)
      throw std::runtime_error(file.name + " cannot be fetched: its size has changed");
    if (::pwrite(out.fd, part.bytes.data(), part.bytes.size(), static_cast<off_t>(done))
        != static_cast<ssize_t>(part.bytes.size()))
      fail(path, "cannot be written");
    sum.add(std::as_bytes(std::span{part.bytes}));
    done += part.bytes.size();
  }
  if (sum.hex() != file.sha256) {
    std::error_code ignored;
    fs::remove(path, ignored);
    throw std::runtime_error(file.name + " was damaged on its way; it is fetched again next time");
  }
  if (::ftruncate(out.fd, static_cast<off_t>(file.size)) != 0 || ::fsync(out.fd) != 0)
    fail(path, "cannot be written");
}

} // namespace

bool is_plain_name(const std::string& name) {
  return !name.empty() && name[0] != '.' && name.find('/') == std::string::npos
         && name.size() < 200;
}

file_set make_file_set(const fs::path& folder, const std::vector<std::string>& names) {
  file_set set;
  for (const auto& name : names) {
    if (!fs::exists(folder / name))
      continue;
    const model::mapped_file file{folder / name};
    set.files.push_back({name, file.bytes().size(), model::sha256(file.bytes())});
  }
  set.id = id_of(set.files);
  return set;
}

file_set data_files(const fs::path& folder) {
  return make_file_set(folder, {"train.bin", "val.bin", "data.json", "tokenizer.model"});
}

file_set checkpoint_files(const fs::path& folder) {
  const auto file = folder / model::manifest_name;
  const auto text = model::read_text(file);
  file_set set;
  set.files.push_back(
      {model::manifest_name, text.size(), model::sha256(std::as_bytes(std::span{text}))});
  for (const auto& entry : model::decode_manifest(text, file).files)
    set.files.push_back({entry.name, entry.size, entry.sha256});
  set.id = id_of(set.files);
  return set;
}

void file_shelf::put(const file_set& set, fs::path folder) {
  const std::lock_guard guard{mutex_};
  entries_[set.id] = {set, std::move(folder)};
}

void file_shelf::drop(const std::string& id) {
  const std::lock_guard guard{mutex_};
  entries_.erase(id);
}

file_part file_shelf::read(const file_part_request& wanted, std::size_t most) const {
  fs::path path;
  {
    const std::lock_guard guard{mutex_};
    const auto found = entries_.find(wanted.set);
    if (found == entries_.end())
      return {{}, "no such set of files here"};
    const auto& files = found->second.set.files;
    if (std::none_of(files.begin(), files.end(),
                     [&](const file_entry& file) { return file.name == wanted.name; }))
      return {{}, "no such file in the set"};
    path = found->second.folder / wanted.name;
  }
  const descriptor in{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  file_part part;
  part.bytes.resize(most);
  const auto n =
      in.fd < 0 ? -1 : ::pread(in.fd, part.bytes.data(), most, static_cast<off_t>(wanted.offset));
  if (n < 0)
    return {{}, path.string() + ": " + std::strerror(errno)};
  part.bytes.resize(static_cast<std::size_t>(n));
  return part;
}

fs::path fetch_files(const file_set& set, const fs::path& root, const part_fetcher& fetch) {
  check_set(set);
  const auto folder = root / set.id;
  if (fs::exists(folder))
    return folder;
  const auto aside = root / ("." + set.id + ".partial");
  std::error_code problem;
  fs::create_directories(aside, problem);
  if (problem)
    throw std::runtime_error(aside.string() + ": cannot be created: " + problem.message()
                             + "; check its disk and permissions");
  for (const auto& file : set.files)
    fetch_file(set, file, aside, fetch);
  fs::rename(aside, folder, problem);
  if (problem && !fs::exists(folder))
    throw std::runtime_error(folder.string() + ": cannot be created: " + problem.message());
  model::sync_directory(root);
  return folder;
}

} // namespace skippipe::runtime::daemon
