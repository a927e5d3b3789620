// Bytes on their way from one socket to the other.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace skippipe::runtime::gate {

/// A bounded buffer: filled at its end, emptied at its front. Takes memory when first filled and
/// gives it back when empty, so an idle connection costs none.
class flow {
public:
  static constexpr std::size_t capacity = 32 * 1024;

  bool empty() const { return begin_ == end_; }
  bool full() const { return end_ == capacity; }

  /// Where the next bytes go; not empty unless full.
  std::span<std::byte> room() {
    if (bytes_.empty())
      bytes_.resize(capacity);
    return std::span(bytes_).subspan(end_);
  }
  void filled(std::size_t n) { end_ += n; }

  std::span<const std::byte> waiting() const {
    return std::span(bytes_).subspan(begin_, end_ - begin_);
  }
  void emptied(std::size_t n) {
    begin_ += n;
    if (begin_ == end_)
      begin_ = end_ = 0;
  }
  void release() {
    if (empty() && !bytes_.empty())
      std::vector<std::byte>().swap(bytes_);
  }

private:
  std::vector<std::byte> bytes_;
  std::size_t begin_ = 0, end_ = 0;
};

} // namespace skippipe::runtime::gate
