// Every way to fill stages of given sizes, for problems where there are few.
#pragma once

#include "scheduler/ids.hpp"

#include <cstdint>
#include <utility>
#include <vector>

namespace skippipe::scheduler {

class all_arrangements {
public:
  all_arrangements(std::vector<std::uint32_t> sizes, std::size_t nodes)
      : sizes_(std::move(sizes)), filled_(sizes_.size()), nodes_(nodes) {}

  double count() const {
    double product = 1, placed = 0;
    for (const std::uint32_t size : sizes_)
      for (std::uint32_t i = 1; i <= size; ++i)
        product *= ++placed / i;
    return product;
  }

  /// Calls `seen` with each of them.
  template <class Seen>
  void each(const Seen& seen, node_id next = 0) {
    if (next == nodes_)
      return seen(filled_);
    for (std::size_t s = 0; s < sizes_.size(); ++s) {
      if (filled_[s].size() == sizes_[s])
        continue;
      filled_[s].push_back(next);
      each(seen, next + 1);
      filled_[s].pop_back();
    }
  }

private:
  std::vector<std::uint32_t> sizes_;
  std::vector<std::vector<node_id>> filled_;
  std::size_t nodes_;
};

} // namespace skippipe::scheduler
