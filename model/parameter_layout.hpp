// Where each parameter of a shard lies in its flat buffers. No LibTorch here.
#pragma once

#include "model/options.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace skippipe::model {

/// A parameter's place in the shard's flat buffers. Hugging Face LLaMA names.
struct parameter_info {
  std::string name;
  std::vector<std::int64_t> shape;
  std::int64_t offset = 0; ///< Elements into the flat buffers.
  std::int64_t size = 0;   ///< Elements.
  bool decay = true;       ///< Weight decay applies (not to norms).
};

/// The parameters of a shard in name order. Sizes only depend on the arguments.
std::vector<parameter_info> parameter_layout(const model_options& model, const shard_range& range);

/// "model.layers.N." of layer `n`.
std::string layer_prefix(std::uint32_t n);

} // namespace skippipe::model
