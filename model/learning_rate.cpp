#include "model/options.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace skippipe::model {

double learning_rate(const optimizer_options& options, std::uint64_t n) {
  if (options.warmup > 0 && n <= options.warmup)
    return options.lr * static_cast<double>(n) / static_cast<double>(options.warmup);
  const auto span = options.total_iterations > options.warmup
                        ? static_cast<double>(options.total_iterations - options.warmup)
                        : 1.0;
  const double done = std::min(1.0, static_cast<double>(n - options.warmup) / span);
  const double shape = 0.5 * (1.0 + std::cos(std::numbers::pi * done));
  return options.lr * (options.min_lr_ratio + (1.0 - options.min_lr_ratio) * shape);
}

} // namespace skippipe::model
