#include "model/file_io.hpp"

#include <openssl/evp.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace skippipe::model {

namespace {

/// What a person can do about it.
const char* remedy(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "; free some space or choose another folder";
    case EACCES:
    case EPERM:
    case EROFS:
      return "; choose a folder that you may write to";
    case ENOENT:
      return "; check the path";
    default:
      return "";
  }
}

[[noreturn]] void fail_on(const std::filesystem::path& path, const char* what, int error) {
  throw std::runtime_error(path.string() + ": " + what + ": " + std::strerror(error)
                           + remedy(error));
}

} // namespace

output_file::output_file(std::filesystem::path path) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0)
    fail("cannot be written");
}

output_file::~output_file() {
  if (fd_ >= 0)
    ::close(fd_);
}

void output_file::fail(const char* what) { fail_on(path_, what, errno); }

void output_file::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      fail("cannot be written");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void output_file::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      fail("cannot be written");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
}

void output_file::finish() {
  if (::fsync(fd_) != 0)
    fail("cannot be synced");
  const int closed = ::close(fd_);
  fd_ = -1;
  if (closed != 0)
    fail("cannot be closed");
}

mapped_file::mapped_file(std::filesystem::path path) : path_(std::move(path)) {
  const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    fail_on(path_, "cannot be read", errno);
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    throw std::runtime_error(path_.string() + ": not a file; check the path");
  }
  size_ = static_cast<std::size_t>(info.st_size);
  if (size_ > 0) {
    void* map = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd, 0);
    const int error = errno;
    ::close(fd);
    if (map == MAP_FAILED)
      fail_on(path_, "cannot be mapped", error);
    data_ = static_cast<const std::byte*>(map);
  } else {
    ::close(fd);
  }
}

mapped_file::~mapped_file() {
  if (data_ != nullptr)
    ::munmap(const_cast<std::byte*>(data_), size_);
}

std::string read_text(const std::filesystem::path& path) {
  const mapped_file file{path};
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

void write_whole(const std::filesystem::path& path, const std::function<void(output_file&)>& body) {
  auto aside = path;
  aside += ".tmp";
  try {
    output_file file{aside};
    body(file);
    file.finish();
    std::filesystem::rename(aside, path);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(aside, ignored);
    throw;
  }
  sync_directory(path.parent_path());
}

void sync_directory(const std::filesystem::path& directory) {
  const auto where = directory.empty() ? std::filesystem::path{"."} : directory;
  const int fd = ::open(where.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    fail_on(where, "cannot be opened", errno);
  const int result = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  if (result != 0)
    fail_on(where, "cannot be synced", error);
}

sha256_sum::sha256_sum() : context_(EVP_MD_CTX_new()) {
  if (context_ == nullptr || EVP_DigestInit_ex(context_, EVP_sha256(), nullptr) != 1) {
    EVP_MD_CTX_free(context_);
    throw std::runtime_error("SHA-256 failed; check the OpenSSL installation");
  }
}

sha256_sum::~sha256_sum() { EVP_MD_CTX_free(context_); }

void sha256_sum::add(std::span<const std::byte> bytes) {
  if (EVP_DigestUpdate(context_, bytes.data(), bytes.size()) != 1)
    throw std::runtime_error("SHA-256 failed; check the OpenSSL installation");
}

std::string sha256_sum::hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_DigestFinal_ex(context_, digest, &size) != 1)
    throw std::runtime_error("SHA-256 failed; check the OpenSSL installation");
  std::string result;
  for (unsigned int i = 0; i < size; ++i) {
    constexpr char digits[] = "0123456789abcdef";
    result.push_back(digits[digest[i] >> 4]);
    result.push_back(digits[digest[i] & 15]);
  }
  return result;
}

std::string sha256(std::span<const std::byte> bytes) {
  sha256_sum sum;
  sum.add(bytes);
  return sum.hex();
}

} // namespace skippipe::model
