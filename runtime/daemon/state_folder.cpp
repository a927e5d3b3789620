#include "runtime/daemon/state_folder.hpp"

#include "model/file_io.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace skippipe::runtime::daemon {

namespace fs = std::filesystem;

state_folder::state_folder(fs::path path) : path_(fs::absolute(path)) {
  std::error_code problem;
  fs::create_directories(path_, problem);
  const auto file = path_ / "lock";
  if (!problem)
    lock_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (problem || lock_ < 0)
    throw std::runtime_error(path_.string() + ": cannot be used: "
                             + (problem ? problem.message() : std::strerror(errno))
                             + "; choose another node.dir");
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0)
    throw std::runtime_error(path_.string()
                             + ": another daemon uses this folder; stop it or choose another "
                               "node.dir (or node.name)");
}

state_folder::~state_folder() { ::close(lock_); }

std::uint64_t state_folder::next(const std::string& name) const {
  const auto file = path_ / name;
  std::uint64_t number = 0;
  if (fs::exists(file))
    number = std::strtoull(model::read_text(file).c_str(), nullptr, 10);
  const auto text = std::to_string(++number) + "\n";
  model::write_whole(file,
                     [&](model::output_file& out) { out.write(std::as_bytes(std::span{text})); });
  model::sync_directory(path_);
  return number;
}

} // namespace skippipe::runtime::daemon
