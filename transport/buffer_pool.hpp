// Memory that is used again and again: fresh pages cost more than what is written into them.
#pragma once

#include "transport/buffer.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace skippipe::transport {

/// Hands out buffers and takes them back when their last holder lets go, on any thread and also after
/// the pool has ended. Keeps at most `most` free bytes.
class buffer_pool {
public:
  explicit buffer_pool(std::size_t most) : state_(std::make_shared<state>()) {
    state_->most = most;
  }

  /// Contents are undefined.
  buffer take(std::size_t size) {
    buffer memory = state_->find(size);
    if (memory.empty())
      memory = buffer::allocate(size);
    std::byte* const data = memory.data();
    auto back = std::shared_ptr<void>(
        data, [memory = std::move(memory), home = state_](void*) { home->give_back(memory); });
    return {std::move(back), data, size};
  }

private:
  struct state {
    std::mutex mutex;
    std::map<std::size_t, std::vector<buffer>> free;
    std::size_t bytes = 0, most = 0;

    buffer find(std::size_t size) {
      const std::lock_guard guard(mutex);
      const auto it = free.find(size);
      if (it == free.end())
        return {};
      buffer found = std::move(it->second.back());
      it->second.pop_back();
      if (it->second.empty())
        free.erase(it);
      bytes -= size;
      return found;
    }
    void give_back(const buffer& memory) {
      const std::lock_guard guard(mutex);
      if (bytes + memory.size() > most)
        return;
      free[memory.size()].push_back(memory);
      bytes += memory.size();
    }
  };
  std::shared_ptr<state> state_;
};

} // namespace skippipe::transport
