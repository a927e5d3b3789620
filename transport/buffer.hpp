// Reference-counted bytes that can be handed on without a copy.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace skippipe::transport {

/// A view of `size` bytes that keeps its owner (a tensor, a vector, a mapping) alive.
/// Copying shares. The bytes must not change while more than one holder exists.
class buffer {
public:
  buffer() = default;
  buffer(std::shared_ptr<void> owner, std::byte* data, std::size_t size) noexcept
      : owner_(std::move(owner)), data_(data), size_(size) {}

  /// Fresh, uninitialized memory, aligned to 64 bytes.
  static buffer allocate(std::size_t size);

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  std::span<std::byte> bytes() const noexcept { return {data_, size_}; }
  const std::shared_ptr<void>& owner() const noexcept { return owner_; }

private:
  std::shared_ptr<void> owner_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

} // namespace skippipe::transport
