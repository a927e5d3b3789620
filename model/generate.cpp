#include "model/generate.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

namespace skippipe::model {

std::vector<std::int32_t> generate(std::vector<shard>& shards,
                                   const std::vector<std::int32_t>& prompt,
                                   std::int32_t end_of_text, const generation_options& options) {
  std::mt19937_64 random{options.seed};
  std::vector<std::int64_t> context(prompt.begin(), prompt.end());
  const auto longest = shards[0].context();
  std::vector<std::int32_t> result;
  while (result.size() < options.tokens) {
    if (context.size() > longest)
      context.erase(context.begin(), context.end() - static_cast<std::ptrdiff_t>(longest));
    auto x = at::tensor(context, at::kLong).unsqueeze(0);
    for (auto& shard : shards)
      x = shard.infer(x);
    const auto last = shards[0].logits(x.narrow(1, x.size(1) - 1, 1)).reshape({-1});
    const auto [values, ids] =
        last.to(at::kCPU, at::kDouble).topk(std::min(options.top_k, last.size(0)));
    const auto weights = (values - values[0]).div_(options.temperature).exp_();
    double pick = std::uniform_real_distribution<double>{0, weights.sum().item<double>()}(random);
    std::int64_t chosen = 0;
    while (chosen + 1 < weights.size(0) && (pick -= weights[chosen].item<double>()) > 0)
      ++chosen;
    const auto token = ids[chosen].item<std::int64_t>();
    if (token == end_of_text)
      break;
    context.push_back(token);
    result.push_back(static_cast<std::int32_t>(token));
  }
  return result;
}

} // namespace skippipe::model
