#include "runtime/train/evaluation_paths.hpp"

namespace skippipe::runtime {

actors::evaluation_plan evaluation_paths(const std::vector<std::vector<node_id>>& arrangement,
                                         std::uint32_t batches, std::uint32_t left_out,
                                         std::string what) {
  const auto node_of = [&](std::size_t stage, std::uint32_t batch) {
    return arrangement[stage][batch % arrangement[stage].size()];
  };
  actors::evaluation_plan result;
  result.what = std::move(what);
  const auto others = static_cast<std::uint32_t>(arrangement.size() - 1);
  for (std::uint32_t batch = 0; batch < batches; ++batch) {
    scheduler::path path{batch, node_of(0, batch), {}};
    for (std::uint32_t i = 0; i < others; ++i)
      // A window of `left_out` stages, moved on with every batch, is left out.
      if ((i + batch) % others >= left_out)
        path.hops.push_back({i + 1, node_of(i + 1, batch)});
    result.paths.push_back(std::move(path));
  }
  return result;
}

} // namespace skippipe::runtime
