#include "model/shard.hpp"

#include "model/hash.hpp"
#include "model/initialize.hpp"
#include "model/layer.hpp"
#include "model/ops.hpp"
#include "model/update.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <cstring>
#include <map>
#include <stdexcept>
#include <utility>

namespace skippipe::model {

namespace {

at::ScalarType scalar_of(dtype type) {
  switch (type) {
    case dtype::bfloat16:
      return at::kBFloat16;
    case dtype::float64:
      return at::kDouble;
    case dtype::float32:
      break;
  }
  return at::kFloat;
}

/// Rows of logits held at once: bounds the loss's memory at about 32 MiB of float32.
std::int64_t rows_per_chunk(std::int64_t vocabulary) {
  return std::max<std::int64_t>(1, (std::int64_t{1} << 23) / vocabulary);
}

struct in_flight {
  at::Tensor tokens; ///< Stage 0: (N)
  std::vector<layer_saved> layers;
  std::vector<std::int64_t> shape; ///< Of the activation: (B, T, C).
};

} // namespace

struct shard::state {
  shard_options options;
  std::vector<parameter_info> parameters;
  std::int64_t size = 0;
  at::ScalarType master_type = at::kFloat, compute_type = at::kFloat;
  at::Device device{at::kCPU};
  at::Tensor values, compute, gradients, exp_avg, exp_avg_sq; ///< Flat; compute may be values.
  std::vector<layer_weights> weights;
  std::vector<layer_sinks> sinks;
  at::Tensor embedding, final_norm, head;
  gradient_sink embedding_sink, final_norm_sink, head_sink;
  rotary tables;
  std::map<slot, in_flight> flights;

  explicit state(const shard_options& given) : options(given), device(given.device) {
    const auto& model = options.model;
    parameters = parameter_layout(model, options.range);
    size = parameters.empty() ? 0 : parameters.back().offset + parameters.back().size;
    compute_type = scalar_of(model.compute);
    master_type = compute_type == at::kBFloat16 ? at::kFloat : compute_type;
    const auto flat = at::TensorOptions{}.dtype(master_type).device(device);
    values = at::empty({size}, at::TensorOptions{}.dtype(master_type));
    initialize();
    values = values.to(device);
    exp_avg = at::zeros({size}, flat);
    exp_avg_sq = at::zeros({size}, flat);
    gradients = at::zeros(
        {size}, options.accumulate == accumulation::fixed_point ? flat.dtype(at::kLong) : flat);
    compute = compute_type == master_type ? values : values.to(compute_type);
    tables = ops::rotary_tables(model.context, model.dim / model.heads, model.rope_theta,
                                compute_type, device);
    bind();
  }

  void initialize() {
    const double deep = 0.02 / std::sqrt(2.0 * options.model.layers);
    for (const auto& info : parameters) {
      auto target = values.narrow(0, info.offset, info.size);
      if (info.shape.size() == 1) {
        target.fill_(1.0);
        continue;
      }
      const bool residual = info.name.find("o_proj") != std::string::npos
                            || info.name.find("down_proj") != std::string::npos;
      const double deviation = residual ? deep : 0.02;
      const auto key = name_hash(info.name) ^ (options.seed * 0x9e3779b97f4a7c15ULL);
      const auto fill = [&](auto* data) {
        for (std::int64_t i = 0; i < info.size; ++i)
          data[i] = static_cast<std::remove_pointer_t<decltype(data)>>(
              deviation * normal_at(key, static_cast<std::uint64_t>(i)));
      };
      if (master_type == at::kDouble)
        fill(target.data_ptr<double>());
      else
        fill(target.data_ptr<float>());
    }
  }

  at::Tensor view(const at::Tensor& flat, const parameter_info& info) const {
    return flat.narrow(0, info.offset, info.size).view(info.shape);
  }

  void bind() {
    std::map<std::string, const parameter_info*> by_name;
    for (const auto& info : parameters)
      by_name[info.name] = &info;
    const auto weight = [&](const std::string& name) { return view(compute, *by_name.at(name)); };
    const auto sink = [&](const std::string& name) {
      return gradient_sink{name, view(gradients, *by_name.at(name))};
    };
    weights.clear();
    sinks.clear();
    for (std::uint32_t i = 0; i < options.range.layer_count; ++i) {
      const auto p = layer_prefix(options.range.first_layer + i);
      weights.push_back(
          {weight(p + "input_layernorm.weight"), weight(p + "self_attn.q_proj.weight"),
           weight(p + "self_attn.k_proj.weight"), weight(p + "self_attn.v_proj.weight"),
           weight(p + "self_attn.o_proj.weight"), weight(p + "post_attention_layernorm.weight"),
           weight(p + "mlp.gate_proj.weight"), weight(p + "mlp.up_proj.weight"),
           weight(p + "mlp.down_proj.weight")});
      sinks.push_back({sink(p + "input_layernorm.weight"), sink(p + "self_attn.q_proj.weight"),
                       sink(p + "self_attn.k_proj.weight"), sink(p + "self_attn.v_proj.weight"),
                       sink(p + "self_attn.o_proj.weight"),
                       sink(p + "post_attention_layernorm.weight"),
                       sink(p + "mlp.gate_proj.weight"), sink(p + "mlp.up_proj.weight"),
                       sink(p + "mlp.down_proj.weight")});
    }
    if (options.range.origin()) {
      const std::string head_name =
          options.model.tied ? "model.embed_tokens.weight" : "lm_head.weight";
      embedding = weight("model.embed_tokens.weight");
      final_norm = weight("model.norm.weight");
      head = weight(head_name);
      embedding_sink = sink("model.embed_tokens.weight");
      final_norm_sink = sink("model.norm.weight");
      head_sink = sink(head_name);
    }
  }

  /// Rows of the input's activation: embedded tokens, or the activation flattened.
  at::Tensor enter(const at::Tensor& input, std::vector<std::int64_t>& shape) const {
    const std::int64_t channels = options.model.dim;
    if (options.range.origin()) {
      if (input.dim() != 2 || input.scalar_type() != at::kLong)
        throw std::invalid_argument("stage 0 takes tokens (B, T) of int64");
      shape = {input.size(0), input.size(1), channels};
      return at::embedding(embedding, input.reshape({-1}));
    }
    if (input.dim() != 3 || input.size(2) != channels || input.scalar_type() != compute_type)
      throw std::invalid_argument("a stage takes an activation (B, T, C) in the compute dtype");
    shape = {input.size(0), input.size(1), channels};
    return input.reshape({-1, channels});
  }

  void check_rows(const at::Tensor& x) const {
    if (x.dim() != 3 || x.size(2) != options.model.dim || x.scalar_type() != compute_type)
      throw std::invalid_argument("an activation has another shape or dtype than this model's");
  }
};

shard::shard(const shard_options& options) : state_(std::make_unique<state>(options)) {}
shard::~shard() = default;
shard::shard(shard&&) noexcept = default;
shard& shard::operator=(shard&&) noexcept = default;

const std::vector<parameter_info>& shard::parameters() const { return state_->parameters; }
std::int64_t shard::size() const { return state_->size; }
std::size_t shard::context() const { return state_->options.model.context; }

at::Tensor shard::forward(slot key, const at::Tensor& input) {
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  auto& s = *state_;
  if (s.flights.contains(key))
    throw std::invalid_argument("microbatch " + std::to_string(key) + " is in flight already");
  in_flight flight;
  auto x = s.enter(input, flight.shape);
  if (s.options.range.origin())
    flight.tokens = input.reshape({-1});
  flight.layers.resize(s.weights.size());
  for (std::size_t i = 0; i < s.weights.size(); ++i)
    x = layer_forward(s.options.model, s.weights[i], s.tables, flight.shape[1], x,
                      &flight.layers[i]);
  auto shape = flight.shape;
  s.flights.emplace(key, std::move(flight));
  return x.view(shape);
}

loss_result shard::loss(slot, const at::Tensor& hidden, const at::Tensor& targets, double scale) {
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  auto& s = *state_;
  s.check_rows(hidden);
  const auto x = hidden.reshape({-1, s.options.model.dim});
  const auto flat_targets = targets.reshape({-1});
  if (flat_targets.size(0) != x.size(0))
    throw std::invalid_argument("targets and activation have different numbers of tokens");
  const auto normed = ops::rms_norm(x, s.final_norm, s.options.model.norm_eps);
  auto normed_grad = at::empty_like(normed.output);
  loss_result result;
  const auto chunk = rows_per_chunk(s.options.model.vocab);
  for (std::int64_t row = 0; row < x.size(0); row += chunk) {
    const auto rows = std::min(chunk, x.size(0) - row);
    const auto part = normed.output.narrow(0, row, rows);
    auto logits = at::mm(part, s.head.t()).to(s.master_type);
    const auto losses = ops::cross_entropy_(logits, flat_targets.narrow(0, row, rows), scale);
    result.loss_sum += losses.sum(at::kDouble).item<double>();
    const auto logits_grad = logits.to(s.compute_type);
    s.head_sink.add_product(logits_grad, part);
    auto target = normed_grad.narrow(0, row, rows);
    at::mm_out(target, logits_grad, s.head);
  }
  result.tokens = x.size(0);
  auto norm = ops::rms_norm_backward(normed_grad, x, s.final_norm, normed.rstd);
  s.final_norm_sink.add(norm.weight);
  result.grad = norm.input.view(hidden.sizes());
  return result;
}

at::Tensor shard::backward(slot key, const at::Tensor& grad_output) {
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  auto& s = *state_;
  auto found = s.flights.find(key);
  if (found == s.flights.end())
    throw std::invalid_argument("microbatch " + std::to_string(key) + " is not in flight");
  s.check_rows(grad_output);
  auto flight = std::move(found->second);
  s.flights.erase(found);
  auto grad = grad_output.reshape({-1, s.options.model.dim});
  for (std::size_t i = s.weights.size(); i-- > 0;)
    grad = layer_backward(s.options.model, s.weights[i], s.sinks[i], s.tables, flight.shape[1],
                          std::move(flight.layers[i]), grad);
  if (!s.options.range.origin())
    return grad.view(flight.shape);
  s.embedding_sink.add_rows(flight.tokens, grad);
  return {};
}

void shard::drop(slot key) { state_->flights.erase(key); }

std::vector<shard::slot> shard::slots() const {
  std::vector<slot> result;
  for (const auto& [key, flight] : state_->flights)
    result.push_back(key);
  return result;
}

at::Tensor shard::infer(const at::Tensor& input) {
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  auto& s = *state_;
  std::vector<std::int64_t> shape;
  auto x = s.enter(input, shape);
  for (const auto& weights : s.weights)
    x = layer_forward(s.options.model, weights, s.tables, shape[1], x, nullptr);
  return x.view(shape);
}

at::Tensor shard::logits(const at::Tensor& hidden) {
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  auto& s = *state_;
  s.check_rows(hidden);
  const auto normed = ops::rms_norm(hidden.reshape({-1, s.options.model.dim}), s.final_norm,
                                    s.options.model.norm_eps);
  return at::mm(normed.output, s.head.t())
      .to(s.master_type)
      .view({hidden.size(0), hidden.size(1), s.options.model.vocab});
}

at::Tensor shard::token_losses(const at::Tensor& hidden, const at::Tensor& targets) {
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  auto& s = *state_;
  s.check_rows(hidden);
  const auto x = hidden.reshape({-1, s.options.model.dim});
  const auto flat_targets = targets.reshape({-1});
  const auto normed = ops::rms_norm(x, s.final_norm, s.options.model.norm_eps);
  std::vector<at::Tensor> parts;
  const auto chunk = rows_per_chunk(s.options.model.vocab);
  for (std::int64_t row = 0; row < x.size(0); row += chunk) {
    const auto rows = std::min(chunk, x.size(0) - row);
    auto logits = at::mm(normed.output.narrow(0, row, rows), s.head.t()).to(s.master_type);
    parts.push_back(ops::cross_entropy_(logits, flat_targets.narrow(0, row, rows), 0));
  }
  return at::cat(parts).view(targets.sizes());
}

at::Tensor shard::values() { return state_->values; }
at::Tensor shard::gradients() { return state_->gradients; }
at::Tensor shard::exp_avg() { return state_->exp_avg; }
at::Tensor shard::exp_avg_sq() { return state_->exp_avg_sq; }
void shard::zero_gradients() { state_->gradients.zero_(); }
void shard::renew_gradients() {
  state_->gradients = at::zeros_like(state_->gradients);
  state_->bind();
}

std::vector<double> shard::squared_norms() {
  const auto& s = *state_;
  const auto flat = s.gradients.to(at::kCPU);
  std::vector<double> result;
  for (const auto& info : s.parameters)
    result.push_back(squared_norm(flat.narrow(0, info.offset, info.size)));
  return result;
}

void shard::step(std::uint64_t iteration, double clip_factor) {
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  auto& s = *state_;
  adamw_step step{s.options.optimizer, iteration, clip_factor};
  for (const auto& info : s.parameters) {
    const auto part = [&](const at::Tensor& flat) {
      return flat.narrow(0, info.offset, info.size);
    };
    step.apply(part(s.values), part(s.gradients), part(s.exp_avg), part(s.exp_avg_sq), info.decay);
  }
  values_changed();
}

void shard::values_changed() {
  auto& s = *state_;
  if (!s.compute.is_same(s.values))
    s.compute.copy_(s.values);
}

std::uint64_t shard::hash() {
  const auto flat = state_->values.to(at::kCPU);
  return hash_bytes(flat.data_ptr(), static_cast<std::size_t>(flat.numel()) * flat.element_size());
}

} // namespace skippipe::model
