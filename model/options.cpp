#include "model/options.hpp"

#include <array>
#include <utility>

namespace skippipe::model {

namespace {

model_options sized(const char* name, std::uint32_t dim, std::uint32_t layers, std::uint32_t heads,
                    std::uint32_t kv_heads, std::uint32_t ffn, std::uint32_t vocab,
                    std::uint32_t context) {
  model_options result;
  result.preset = name;
  result.dim = dim;
  result.layers = layers;
  result.heads = heads;
  result.kv_heads = kv_heads;
  result.ffn = ffn;
  result.vocab = vocab;
  result.context = context;
  return result;
}

/// 500M and 1.5B are the sizes of the SkipPipe paper's experiments, 8B is LLaMA 3's.
const std::array<model_options, 4>& presets() {
  static const std::array<model_options, 4> all = {
      sized("tiny", 192, 8, 6, 3, 512, 2048, 128),
      sized("500M", 1024, 24, 16, 16, 2736, 32000, 1024),
      sized("1.5B", 2048, 24, 16, 16, 5504, 32000, 4096),
      sized("8B", 4096, 32, 32, 8, 14336, 128256, 8192),
  };
  return all;
}

} // namespace

std::optional<model_options> find_preset(std::string_view name) {
  for (const auto& preset : presets())
    if (preset.preset == name)
      return preset;
  return std::nullopt;
}

const std::vector<std::string>& preset_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> result;
    for (const auto& preset : presets())
      result.push_back(preset.preset);
    return result;
  }();
  return names;
}

std::string_view dtype_name(dtype type) {
  switch (type) {
    case dtype::float32:
      return "float32";
    case dtype::bfloat16:
      return "bfloat16";
    case dtype::float64:
      return "float64";
  }
  return "unknown";
}

std::optional<dtype> find_dtype(std::string_view name) {
  for (auto type : {dtype::float32, dtype::bfloat16, dtype::float64})
    if (dtype_name(type) == name)
      return type;
  return std::nullopt;
}

std::vector<option_problem> validate(const model_options& model) {
  std::vector<option_problem> result;
  const auto number = [](std::uint64_t n) { return std::to_string(n); };
  const auto positive = [&](const char* key, std::uint32_t value) {
    if (value == 0)
      result.push_back({key, "expected at least 1, got 0"});
    return value != 0;
  };
  const bool sized = positive("dim", model.dim) & positive("layers", model.layers)
                     & positive("heads", model.heads) & positive("kv_heads", model.kv_heads)
                     & positive("ffn", model.ffn) & positive("vocab", model.vocab)
                     & positive("context", model.context);
  if (!sized)
    return result;
  if (model.dim % model.heads != 0)
    result.push_back({"heads", "expected a divisor of dim = " + number(model.dim) + ", got "
                                   + number(model.heads)});
  else if (model.dim / model.heads % 2 != 0)
    result.push_back({"heads", "expected an even number of channels per head, got dim / heads = "
                                   + number(model.dim / model.heads)});
  if (model.heads % model.kv_heads != 0)
    result.push_back({"kv_heads", "expected a divisor of heads = " + number(model.heads) + ", got "
                                      + number(model.kv_heads)});
  return result;
}

} // namespace skippipe::model
