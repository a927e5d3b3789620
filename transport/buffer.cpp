#include "transport/buffer.hpp"

#include <cstdlib>
#include <new>

namespace skippipe::transport {

buffer buffer::allocate(std::size_t size) {
  constexpr std::size_t alignment = 64;
  const std::size_t rounded = (size + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  if (memory == nullptr)
    throw std::bad_alloc{};
  return {std::shared_ptr<void>(memory, &std::free), static_cast<std::byte*>(memory), size};
}

} // namespace skippipe::transport
