// Files that are complete or absent: written aside, synced, renamed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

struct evp_md_ctx_st; // OpenSSL's EVP_MD_CTX.

namespace skippipe::model {

/// Appends to a file descriptor. Every failure throws std::runtime_error: the path, what failed and
/// what to do.
class output_file {
public:
  explicit output_file(std::filesystem::path path); ///< Creates or truncates.
  ~output_file();
  output_file(const output_file&) = delete;
  output_file& operator=(const output_file&) = delete;

  void write(std::span<const std::byte> bytes);
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  void finish(); ///< fsync and close.

private:
  [[noreturn]] void fail(const char* what);
  std::filesystem::path path_;
  int fd_ = -1;
};

/// A file mapped read-only; throws std::runtime_error like output_file.
class mapped_file {
public:
  explicit mapped_file(std::filesystem::path path);
  ~mapped_file();
  mapped_file(const mapped_file&) = delete;
  mapped_file& operator=(const mapped_file&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

std::string read_text(const std::filesystem::path& path);

/// Writes `path` through `body` under a temporary name beside it, syncs and renames.
void write_whole(const std::filesystem::path& path, const std::function<void(output_file&)>& body);

/// Makes directory entries durable.
void sync_directory(const std::filesystem::path& directory);

/// SHA-256 in hexadecimal.
std::string sha256(std::span<const std::byte> bytes);

/// SHA-256 over pieces.
class sha256_sum {
public:
  sha256_sum();
  ~sha256_sum();
  sha256_sum(const sha256_sum&) = delete;
  sha256_sum& operator=(const sha256_sum&) = delete;
  void add(std::span<const std::byte> bytes);
  std::string hex(); ///< Ends the sum.

private:
  evp_md_ctx_st* context_;
};

} // namespace skippipe::model
