// A file of token ids: a checked header, then the ids, mapped into memory.
#pragma once

#include "model/file_io.hpp"

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace skippipe::model {

/// Writes ids as 16-bit numbers where `vocab` allows it, else 32-bit; complete or absent.
void write_token_file(const std::filesystem::path& path, std::span<const std::int32_t> ids,
                      std::uint32_t vocab);

/// Read access, thread-safe. Opening checks everything, the content's checksum too; failures throw
/// std::runtime_error with one line.
class token_file {
public:
  explicit token_file(const std::filesystem::path& path);

  std::uint64_t size() const { return count_; }
  std::uint32_t vocab() const { return vocab_; }
  std::uint64_t checksum() const { return checksum_; }
  std::int64_t operator[](std::uint64_t index) const {
    return wide_ != nullptr ? wide_[index] : narrow_[index];
  }

private:
  mapped_file file_;
  const std::uint16_t* narrow_ = nullptr;
  const std::uint32_t* wide_ = nullptr;
  std::uint64_t count_ = 0;
  std::uint32_t vocab_ = 0;
  std::uint64_t checksum_ = 0;
};

} // namespace skippipe::model
