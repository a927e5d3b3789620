#include "runtime/daemon/trace_store.hpp"

#include "actors/trace/frame_filter.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <system_error>

namespace skippipe::runtime::daemon {

namespace fs = std::filesystem;

namespace {

/// Read in one request: bytes of a file as it is, or of a trace of which little will be left.
constexpr std::size_t plain_bytes = std::size_t{1} << 20, filtered_bytes = std::size_t{8} << 20;

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

bool is_trace(const std::string& name) {
  return name.ends_with(".trace") || name.ends_with(".trace.1");
}

bool may_be_read(const std::string& name) {
  const auto slash = name.find('/');
  if (slash == std::string::npos || name.size() > 1000 || name.find('/', slash + 1) != name.npos
      || name.find('\0') != name.npos)
    return false;
  const auto folder = name.substr(0, slash);
  return (folder == "trace" && is_trace(name)) || (folder == "plans" && name.ends_with(".json"));
}

void list(const fs::path& run_dir, const char* folder, std::vector<trace_file>& files) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{run_dir / folder, ignored}) {
    trace_file file;
    file.name = folder + std::string("/") + entry.path().filename().string();
    struct stat about {};
    if (!may_be_read(file.name) || ::stat(entry.path().c_str(), &about) != 0
        || !S_ISREG(about.st_mode))
      continue;
    file.identity = about.st_ino;
    file.size = static_cast<std::uint64_t>(about.st_size);
    files.push_back(std::move(file));
  }
}

/// The file of that identity, under its name or the one that it gets when it is full.
int open_same(const fs::path& path, std::uint64_t identity) {
  auto aside = path;
  aside += ".1";
  for (const auto& name : {path, aside}) {
    const int fd = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat about {};
    if (fd >= 0 && ::fstat(fd, &about) == 0 && about.st_ino == identity)
      return fd;
    if (fd >= 0)
      ::close(fd);
  }
  return -1;
}

} // namespace

std::vector<trace_file> list_trace_files(const fs::path& run_dir) {
  std::vector<trace_file> files;
  list(run_dir, "trace", files);
  list(run_dir, "plans", files);
  std::sort(files.begin(), files.end(),
            [](const trace_file& a, const trace_file& b) { return a.name < b.name; });
  return files;
}

trace_part read_trace_part(const fs::path& run_dir, const trace_part_request& wanted) {
  if (!may_be_read(wanted.name) || wanted.offset > wanted.end)
    return {{}, 0, false, "no such file of a trace"};
  const descriptor in{open_same(run_dir / wanted.name, wanted.identity)};
  if (in.fd < 0)
    return {{}, 0, true, {}};
  const trace::event_filter filter{wanted.first, wanted.last};
  const bool all =
      !is_trace(wanted.name)
      || (filter.first == 0 && filter.last == std::numeric_limits<iteration_no>::max());
  const auto left = wanted.end - wanted.offset;
  const auto size = std::min<std::uint64_t>(left, all ? plain_bytes : filtered_bytes);
  wire_bytes bytes(static_cast<std::size_t>(size), 0);
  const auto n = ::pread(in.fd, bytes.data(), bytes.size(), static_cast<off_t>(wanted.offset));
  if (n < 0)
    return {{}, 0, false, wanted.name + ": " + std::strerror(errno)};
  bytes.resize(static_cast<std::size_t>(n));
  // A torn frame may have been cut off since the file was listed.
  const bool last = bytes.size() == left || bytes.size() < size;
  trace_part part;
  part.next = last ? wanted.end : wanted.offset + bytes.size();
  if (all) {
    part.bytes = std::move(bytes);
    return part;
  }
  std::vector<std::byte> kept;
  const auto used = trace::filter_frames(std::as_bytes(std::span{bytes}), last, filter, kept);
  if (!last)
    part.next = wanted.offset + used;
  part.bytes.resize(kept.size());
  if (!kept.empty())
    std::memcpy(part.bytes.data(), kept.data(), kept.size());
  return part;
}

} // namespace skippipe::runtime::daemon
