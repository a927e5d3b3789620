#include "model/checkpoint_manifest.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <stdexcept>
#include <type_traits>

namespace skippipe::model {

namespace {

using nlohmann::json;

constexpr const char* format = "skippipe-checkpoint";
constexpr std::uint32_t version = 1;

/// Takes keys out of an object, each checked, with the key in every error.
class object_reader {
public:
  object_reader(const json& object, std::string prefix, const std::filesystem::path& where)
      : object_(object), prefix_(std::move(prefix)), where_(where) {
    if (!object_.is_object())
      fail("is not an object");
  }

  template <class T>
  void take(const char* key, T& value) const {
    const auto& found = at(key);
    if constexpr (std::is_same_v<T, bool>) {
      expect(found.is_boolean(), key, "true or false");
    } else if constexpr (std::is_unsigned_v<T>) {
      expect(found.is_number_unsigned()
                 && found.get<std::uint64_t>() <= std::numeric_limits<T>::max(),
             key, "a number that is not negative");
    } else if constexpr (std::is_same_v<T, double>) {
      expect(found.is_number() && std::isfinite(found.get<double>()), key, "a number");
    } else {
      static_assert(std::is_same_v<T, std::string>);
      expect(found.is_string(), key, "a string");
    }
    value = found.get<T>();
  }

  const json& at(const char* key) const {
    const auto found = object_.find(key);
    if (found == object_.end())
      fail(std::string(key) + " is missing");
    return *found;
  }
  void expect(bool holds, const char* key, const char* what) const {
    if (!holds)
      fail(std::string(key) + " is not " + what);
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error(where_.string() + ": " + prefix_ + what + "; use another checkpoint");
  }

private:
  const json& object_;
  std::string prefix_;
  const std::filesystem::path& where_;
};

nlohmann::ordered_json encode(const model_options& m) {
  return {{"preset", m.preset},
          {"dim", m.dim},
          {"layers", m.layers},
          {"heads", m.heads},
          {"kv_heads", m.kv_heads},
          {"ffn", m.ffn},
          {"vocab", m.vocab},
          {"context", m.context},
          {"tied", m.tied},
          {"dtype", dtype_name(m.compute)},
          {"recompute", m.recompute},
          {"norm_eps", m.norm_eps},
          {"rope_theta", m.rope_theta}};
}

model_options decode_model(const object_reader& in) {
  model_options m;
  std::string compute;
  in.take("preset", m.preset);
  in.take("dim", m.dim);
  in.take("layers", m.layers);
  in.take("heads", m.heads);
  in.take("kv_heads", m.kv_heads);
  in.take("ffn", m.ffn);
  in.take("vocab", m.vocab);
  in.take("context", m.context);
  in.take("tied", m.tied);
  in.take("dtype", compute);
  in.take("recompute", m.recompute);
  in.take("norm_eps", m.norm_eps);
  in.take("rope_theta", m.rope_theta);
  const auto type = find_dtype(compute);
  in.expect(type.has_value(), "dtype", "a known dtype");
  m.compute = *type;
  if (const auto problems = validate(m); !problems.empty())
    in.fail(problems.front().key + ": " + problems.front().what);
  // Far beyond real models, and far below where products of sizes overflow.
  for (const auto size : {m.dim, m.ffn, m.vocab, m.context})
    if (size > 1u << 24)
      in.fail("has an impossible size, " + std::to_string(size));
  in.expect(m.layers <= 1u << 14, "layers", "a possible number of layers");
  return m;
}

nlohmann::ordered_json encode(const optimizer_options& o) {
  return {{"lr", o.lr},
          {"warmup", o.warmup},
          {"total_iterations", o.total_iterations},
          {"min_lr_ratio", o.min_lr_ratio},
          {"clip", o.clip},
          {"weight_decay", o.weight_decay},
          {"beta1", o.beta1},
          {"beta2", o.beta2},
          {"eps", o.eps}};
}

optimizer_options decode_optimizer(const object_reader& in) {
  optimizer_options o;
  in.take("lr", o.lr);
  in.take("warmup", o.warmup);
  in.take("total_iterations", o.total_iterations);
  in.take("min_lr_ratio", o.min_lr_ratio);
  in.take("clip", o.clip);
  in.take("weight_decay", o.weight_decay);
  in.take("beta1", o.beta1);
  in.take("beta2", o.beta2);
  in.take("eps", o.eps);
  return o;
}

/// A plain file name: what a manifest names must lie in its own folder.
bool plain_name(const std::string& name) {
  return !name.empty() && name.front() != '.'
         && std::all_of(name.begin(), name.end(), [](unsigned char c) {
              return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
            });
}

bool sha256_digits(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::vector<checkpoint_file> decode_files(const object_reader& in,
                                          const std::filesystem::path& where) {
  const auto& list = in.at("files");
  in.expect(list.is_array() && !list.empty(), "files", "a list of files");
  std::vector<checkpoint_file> files;
  std::set<std::string> names;
  for (const auto& entry : list) {
    const object_reader reader{entry, "files: ", where};
    auto& file = files.emplace_back();
    reader.take("name", file.name);
    reader.take("size", file.size);
    reader.take("sha256", file.sha256);
    reader.expect(plain_name(file.name), "name", "a plain file name");
    reader.expect(names.insert(file.name).second, "name", "different for each file");
    reader.expect(sha256_digits(file.sha256), "sha256", "64 hexadecimal digits");
  }
  return files;
}

} // namespace

std::string encode_manifest(const checkpoint_manifest& m) {
  auto files = nlohmann::ordered_json::array();
  for (const auto& file : m.files)
    files.push_back({{"name", file.name}, {"size", file.size}, {"sha256", file.sha256}});
  const nlohmann::ordered_json out = {{"format", format},
                                      {"version", version},
                                      {"iteration", m.iteration},
                                      {"job", m.job},
                                      {"model", encode(m.model)},
                                      {"optimizer", encode(m.optimizer)},
                                      {"stages", m.stages},
                                      {"layers_per_stage", m.layers_per_stage},
                                      {"path_length", m.path_length},
                                      {"microbatches", m.microbatches},
                                      {"microbatch_size", m.microbatch_size},
                                      {"deterministic", m.deterministic},
                                      {"seed", m.seed},
                                      {"data", m.data},
                                      {"tokenizer", m.tokenizer},
                                      {"files", std::move(files)}};
  return out.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

checkpoint_manifest decode_manifest(std::string_view text, const std::filesystem::path& where) {
  const auto parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object() || parsed.value("format", json{}) != format)
    throw std::runtime_error(where.string()
                             + ": not a checkpoint manifest; use another checkpoint");
  const object_reader in{parsed, "", where};
  std::uint32_t found = 0;
  in.take("version", found);
  if (found != version)
    throw std::runtime_error(where.string() + ": checkpoint version " + std::to_string(found)
                             + ", this program reads version " + std::to_string(version)
                             + "; use the program that wrote it");
  checkpoint_manifest m;
  in.take("iteration", m.iteration);
  in.take("job", m.job);
  m.model = decode_model({in.at("model"), "model.", where});
  m.optimizer = decode_optimizer({in.at("optimizer"), "optimizer.", where});
  in.take("stages", m.stages);
  const auto& layers = in.at("layers_per_stage");
  in.expect(layers.is_array()
                && std::all_of(layers.begin(), layers.end(),
                               [](const json& n) {
                                 return n.is_number_unsigned()
                                        && n.get<std::uint64_t>()
                                               <= std::numeric_limits<std::uint32_t>::max();
                               }),
            "layers_per_stage", "a list of numbers");
  m.layers_per_stage = layers.get<std::vector<std::uint32_t>>();
  in.expect(!partition(m.model.layers, m.stages, m.layers_per_stage).empty()
                && m.layers_per_stage.size() == m.stages,
            "layers_per_stage", "a partition of the model's layers");
  in.take("path_length", m.path_length);
  in.take("microbatches", m.microbatches);
  in.take("microbatch_size", m.microbatch_size);
  in.take("deterministic", m.deterministic);
  in.take("seed", m.seed);
  in.take("data", m.data);
  in.take("tokenizer", m.tokenizer);
  m.files = decode_files(in, where);
  return m;
}

} // namespace skippipe::model
