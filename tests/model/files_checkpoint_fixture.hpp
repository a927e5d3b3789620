// A small model's checkpoint with made-up values.
#pragma once

#include "model/checkpoint_reader.hpp"
#include "model/checkpoint_writer.hpp"
#include "model/parameter_layout.hpp"

#include <cstring>

struct small_checkpoint {
  skippipe::model::checkpoint_manifest manifest;

  explicit small_checkpoint(std::vector<std::uint32_t> layers_per_stage = {1, 2, 2}) {
    auto& m = manifest;
    m.job = "small";
    m.model.dim = 8;
    m.model.layers = 5;
    m.model.heads = 2;
    m.model.kv_heads = 1;
    m.model.ffn = 12;
    m.model.vocab = 16;
    m.model.context = 8;
    m.optimizer.lr = 0.1 + 0.2; // Not a short decimal: it must come back bit by bit.
    m.stages = static_cast<std::uint32_t>(layers_per_stage.size());
    m.layers_per_stage = std::move(layers_per_stage);
    m.path_length = 2;
    m.microbatches = 4;
    m.microbatch_size = 2;
    m.deterministic = true;
    m.seed = 0xfedcba9876543210ULL;
    m.data = 0x8000000000000001ULL;
    m.tokenizer = "byte";
  }

  std::vector<skippipe::model::parameter_info> parameters(std::uint32_t stage) const {
    const auto ranges = skippipe::model::partition(manifest.model.layers, manifest.stages,
                                                   manifest.layers_per_stage);
    return skippipe::model::parameter_layout(manifest.model, ranges.at(stage));
  }

  /// Values that depend on the tensor's name and `salt` only.
  static std::vector<float> values_of(const std::string& name, std::int64_t size, float salt) {
    std::vector<float> values(static_cast<std::size_t>(size));
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(name.size() * 1000 + i) + salt;
    return values;
  }

  void write_stage(skippipe::model::checkpoint_writer& writer, std::uint32_t stage,
                   float salt = 0) const {
    std::vector<std::vector<float>> kept;
    std::vector<skippipe::model::named_tensor> values, optimizer;
    const auto infos = parameters(stage);
    kept.reserve(infos.size() * 3);
    const auto add = [&](auto& list, const std::string& name, const auto& info) {
      const auto& data = kept.emplace_back(values_of(name, info.size, salt));
      list.push_back({name, "F32", info.shape, std::as_bytes(std::span{data})});
    };
    for (const auto& info : infos) {
      add(values, info.name, info);
      add(optimizer, info.name + ".exp_avg", info);
      add(optimizer, info.name + ".exp_avg_sq", info);
    }
    writer.write_stage(stage, values, optimizer);
  }

  std::filesystem::path write(const std::filesystem::path& root, std::uint64_t iteration,
                              float salt = 0) const {
    skippipe::model::checkpoint_writer writer{root, iteration};
    for (std::uint32_t stage = 0; stage < manifest.stages; ++stage)
      write_stage(writer, stage, salt);
    return writer.finish(manifest);
  }
};
