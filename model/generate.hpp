// Text from a trained model, token by token.
#pragma once

#include "model/shard.hpp"

#include <cstdint>
#include <vector>

namespace skippipe::model {

struct generation_options {
  std::uint64_t tokens = 100;
  double temperature = 0.8;
  std::int64_t top_k = 40;
  std::uint64_t seed = 1;
};

/// Continues `prompt` through the shards in order; the context slides where it is full. Returns
/// the new tokens only; stops at `end_of_text`.
std::vector<std::int32_t> generate(std::vector<shard>& shards,
                                   const std::vector<std::int32_t>& prompt,
                                   std::int32_t end_of_text, const generation_options& options);

} // namespace skippipe::model
