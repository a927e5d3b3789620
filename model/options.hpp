// What a LLaMA-style model is: sizes, dtype and the stage partition. No LibTorch here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace skippipe::model {

enum class dtype : std::uint8_t { float32, bfloat16, float64 };

/// A LLaMA: RMSNorm, rotary embedding, grouped-query attention, SwiGLU, optionally tied embeddings.
struct model_options {
  std::string preset;      ///< The preset this came from, or empty.
  std::uint32_t dim = 256; ///< C, channels.
  std::uint32_t layers = 8;
  std::uint32_t heads = 8;        ///< H; dim % heads == 0.
  std::uint32_t kv_heads = 4;     ///< heads % kv_heads == 0.
  std::uint32_t ffn = 704;        ///< Hidden width of the SwiGLU.
  std::uint32_t vocab = 2048;     ///< V.
  std::uint32_t context = 128;    ///< T.
  bool tied = false;              ///< The head reuses the embedding.
  dtype compute = dtype::float32; ///< Master weights and optimizer state stay float32 for bfloat16.
  bool recompute = false;         ///< Keep only a layer's input; recompute the rest in backward.
  double norm_eps = 1e-5;
  double rope_theta = 10000;
  friend bool operator==(const model_options&, const model_options&) = default;
};

/// The named presets: tiny, 500M, 1.5B, 8B; nullopt for another name.
std::optional<model_options> find_preset(std::string_view name);
const std::vector<std::string>& preset_names();

std::string_view dtype_name(dtype type);
std::optional<dtype> find_dtype(std::string_view name);

/// A setting that cannot be, by its key in [model].
struct option_problem {
  std::string key;
  std::string what; ///< "expected ..., got ..."
};
/// Every problem of the sizes; empty for a model that can be built.
std::vector<option_problem> validate(const model_options& model);

/// The transformer layers [first, first + count) of a stage; stage 0 also holds the embedding, the
/// final norm and the head.
struct shard_range {
  std::uint32_t stage = 0;
  std::uint32_t first_layer = 0;
  std::uint32_t layer_count = 0;
  bool origin() const { return stage == 0; }
  friend bool operator==(const shard_range&, const shard_range&) = default;
};

/// Cuts `layers` into `stages`. Given `layers_per_stage` must have one entry per stage and sum to
/// `layers`; empty means even, with what is left
/// over going to the stages after 0 first (stage 0 has the embedding and the head besides).
/// Empty result: the arguments do not fit.
std::vector<shard_range> partition(std::uint32_t layers, std::uint32_t stages,
                                   const std::vector<std::uint32_t>& layers_per_stage = {});

struct optimizer_options {
  double lr = 3e-4;
  std::uint64_t warmup = 0;           ///< Iterations of linear warm-up.
  std::uint64_t total_iterations = 1; ///< End of the cosine schedule.
  double min_lr_ratio = 0.1;          ///< The schedule ends at lr * this.
  double clip = 1.0;                  ///< Global gradient norm; 0 turns clipping off.
  double weight_decay = 0.1;          ///< Not applied to norms.
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  friend bool operator==(const optimizer_options&, const optimizer_options&) = default;
};

/// Learning rate of iteration `n` (from 1): linear warm-up, then cosine to lr * min_lr_ratio.
double learning_rate(const optimizer_options&, std::uint64_t n);

} // namespace skippipe::model
