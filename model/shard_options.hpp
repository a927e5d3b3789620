// What a shard is made of; needs no LibTorch.
#pragma once

#include "model/options.hpp"
#include "model/parameter_layout.hpp"

#include <cstdint>
#include <string>

namespace skippipe::model {

/// How gradients accumulate over the microbatches of an iteration.
enum class accumulation : std::uint8_t {
  native,     ///< float32 (float64 for float64 models).
  fixed_point ///< int64 (model/fixed_point.hpp): sums do not depend on order (R12).
};

struct shard_options {
  model_options model;
  shard_range range;
  optimizer_options optimizer;
  accumulation accumulate = accumulation::native;
  std::string device = "cpu"; ///< "cpu" or "cuda:N".
  std::uint64_t seed = 0;     ///< Initial values depend on (seed, tensor name) only.
};

} // namespace skippipe::model
