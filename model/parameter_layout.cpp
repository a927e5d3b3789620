#include "model/parameter_layout.hpp"

#include <algorithm>

namespace skippipe::model {

std::string layer_prefix(std::uint32_t n) { return "model.layers." + std::to_string(n) + "."; }

std::vector<parameter_info> parameter_layout(const model_options& model, const shard_range& range) {
  std::vector<parameter_info> result;
  const std::int64_t channels = model.dim, hidden = model.ffn, vocabulary = model.vocab,
                     kv = channels / model.heads * model.kv_heads;
  const auto add = [&](std::string name, std::vector<std::int64_t> shape) {
    parameter_info info;
    info.name = std::move(name);
    info.decay = shape.size() > 1;
    info.size = 1;
    for (auto extent : shape)
      info.size *= extent;
    info.shape = std::move(shape);
    result.push_back(std::move(info));
  };
  if (range.origin()) {
    add("model.embed_tokens.weight", {vocabulary, channels});
    add("model.norm.weight", {channels});
    if (!model.tied)
      add("lm_head.weight", {vocabulary, channels});
  }
  for (std::uint32_t i = 0; i < range.layer_count; ++i) {
    const auto prefix = layer_prefix(range.first_layer + i);
    add(prefix + "input_layernorm.weight", {channels});
    add(prefix + "post_attention_layernorm.weight", {channels});
    add(prefix + "self_attn.q_proj.weight", {channels, channels});
    add(prefix + "self_attn.k_proj.weight", {kv, channels});
    add(prefix + "self_attn.v_proj.weight", {kv, channels});
    add(prefix + "self_attn.o_proj.weight", {channels, channels});
    add(prefix + "mlp.gate_proj.weight", {hidden, channels});
    add(prefix + "mlp.up_proj.weight", {hidden, channels});
    add(prefix + "mlp.down_proj.weight", {channels, hidden});
  }
  std::sort(result.begin(), result.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  std::int64_t offset = 0;
  for (auto& info : result) {
    info.offset = offset;
    offset += info.size;
  }
  return result;
}

} // namespace skippipe::model
