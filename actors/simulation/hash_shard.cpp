#include "actors/simulation/hash_shard.hpp"

#include "actors/simulation/world.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>

namespace skippipe::actors::simulation {

namespace {

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  return random_source{a * 0x9e3779b97f4a7c15ULL + b}.next();
}

payload of_value(std::uint64_t value) {
  payload result{{element_type::int64, {1}}, transport::buffer::allocate(sizeof value)};
  std::memcpy(result.data.data(), &value, sizeof value);
  return result;
}

std::uint64_t value_of(const payload& tensor) {
  std::uint64_t value = 0;
  if (tensor.data.size() != sizeof value)
    throw std::invalid_argument("payload of " + std::to_string(tensor.data.size()) + " bytes");
  std::memcpy(&value, tensor.data.data(), sizeof value);
  return value;
}

} // namespace

hash_shard::hash_shard(std::uint64_t seed, stage_id stage) : seed_(seed), stage_(stage) {
  for (std::int64_t i = 0; i < elements; ++i)
    parameters_[static_cast<std::size_t>(i)] = mix(mix(seed, stage), static_cast<std::uint64_t>(i));
}

std::uint64_t hash_shard::mix_parameters(std::uint64_t x) const {
  for (auto p : parameters_)
    x = mix(x, p);
  return x;
}

void hash_shard::open(slot key, std::uint64_t activation) {
  if (!slots_.emplace(key, activation).second)
    throw std::logic_error("microbatch " + std::to_string(key) + " is in flight already");
  peak_ = std::max(peak_, slots_.size());
}

payload hash_shard::first_forward(slot key, iteration_no iteration, microbatch_id id) {
  const auto sample = mix(mix(seed_, iteration), id);
  targets_[key] = mix(sample, 1);
  open(key, sample);
  return of_value(mix_parameters(sample));
}

payload hash_shard::forward(slot key, const payload& input) {
  const auto x = value_of(input);
  open(key, x);
  return of_value(mix_parameters(x));
}

loss_output hash_shard::loss(slot key, const payload& hidden, double scale) {
  const auto x = mix(value_of(hidden), targets_.at(key));
  const auto parts = static_cast<std::uint64_t>(1.0 / scale + 0.5);
  return {static_cast<double>(x % 1000) / 100.0, 1, of_value(mix(mix_parameters(x), parts))};
}

payload hash_shard::backward(slot key, const payload& gradient) {
  auto found = slots_.find(key);
  if (found == slots_.end())
    throw std::logic_error("microbatch " + std::to_string(key) + " is not in flight");
  const auto g = mix(value_of(gradient), found->second);
  slots_.erase(found);
  targets_.erase(key);
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    gradient_[i] += mix(g ^ parameters_[i], i);
  return stage_ == 0 ? payload{} : of_value(mix_parameters(g));
}

void hash_shard::reset() {
  slots_.clear();
  targets_.clear();
  gradient_.fill(0);
}

payload hash_shard::blank() { return of_value(0); }

payload hash_shard::first_infer(microbatch_id batch) {
  return of_value(mix_parameters(mix(seed_ + 1, batch)));
}

payload hash_shard::infer(const payload& input) {
  return of_value(mix_parameters(value_of(input)));
}

loss_output hash_shard::infer_loss(microbatch_id, const payload& hidden) {
  return {static_cast<double>(mix_parameters(value_of(hidden)) % 1000) / 100.0, 1, {}};
}

payload hash_shard::gradient_view(std::int64_t offset, std::int64_t count) {
  payload result{{element_type::int64, {count}},
                 transport::buffer::allocate(static_cast<std::size_t>(count) * 8)};
  std::memcpy(result.data.data(), &gradient_[static_cast<std::size_t>(offset)], result.data.size());
  return result;
}

void hash_shard::sum_shares(std::int64_t offset, std::span<const payload> shares) {
  for (const auto& share : shares)
    for (std::size_t i = 0; i < share.data.size() / 8; ++i) {
      std::uint64_t value = 0;
      std::memcpy(&value, share.data.data() + 8 * i, 8);
      gradient_[static_cast<std::size_t>(offset) + i] += value;
    }
}

void hash_shard::write_gradient(std::int64_t offset, const payload& sum) {
  std::memcpy(&gradient_[static_cast<std::size_t>(offset)], sum.data.data(), sum.data.size());
}

std::vector<double> hash_shard::squared_norms() {
  std::vector<double> result(elements / 8);
  for (std::size_t i = 0; i < gradient_.size(); ++i)
    result[i / 8] += static_cast<double>(gradient_[i] >> 40) * 1e-6;
  if (spoiled_ > 0) {
    --spoiled_;
    result[0] = std::numeric_limits<double>::infinity();
  }
  return result;
}

void hash_shard::update(iteration_no iteration, double clip_factor) {
  std::uint64_t factor = 0;
  std::memcpy(&factor, &clip_factor, sizeof factor);
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    parameters_[i] = mix(mix(parameters_[i], gradient_[i]), factor + iteration);
  ++updates_;
  clear_gradients();
}

void hash_shard::clear_gradients() { gradient_.fill(0); }

std::uint64_t hash_shard::hash() { return mix_parameters(stage_); }

std::function<void()> hash_shard::snapshot(iteration_no iteration) {
  return [on_snapshot = on_snapshot, iteration, value = hash()] {
    if (on_snapshot)
      on_snapshot(iteration, value);
  };
}

} // namespace skippipe::actors::simulation
