#include "actors/torch_shard.hpp"

#include "actors/tensor_bridge.hpp"
#include "model/shard_snapshot.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <map>
#include <stdexcept>
#include <string>
#include <utility>

namespace skippipe::actors {

namespace {

class torch_shard final : public shard_worker {
public:
  explicit torch_shard(torch_shard_options options)
      : options_(std::move(options)), shard_(options_.shard), device_(options_.shard.device),
        type_(options_.shard.model.compute == model::dtype::bfloat16  ? at::kBFloat16
              : options_.shard.model.compute == model::dtype::float64 ? at::kDouble
                                                                      : at::kFloat) {
    if (options_.restore) {
      options_.restore(shard_);
      shard_.values_changed();
    }
  }

  payload first_forward(slot key, iteration_no iteration, microbatch_id id) override {
    auto [inputs, targets] = split(options_.samples.training(iteration, id));
    targets_[key] = targets;
    return outgoing(shard_.forward(key, inputs));
  }

  payload forward(slot key, const payload& input) override {
    return outgoing(shard_.forward(key, checked(input)));
  }

  loss_output loss(slot key, const payload& hidden, double scale) override {
    auto targets = std::move(targets_.at(key));
    targets_.erase(key);
    auto result =
        shard_.loss(key, checked(hidden), targets, scale / static_cast<double>(targets.numel()));
    return {result.loss_sum, result.tokens, outgoing(result.grad)};
  }

  payload backward(slot key, const payload& gradient) override {
    auto result = shard_.backward(key, checked(gradient));
    return result.defined() ? outgoing(result) : payload{};
  }

  void reset() override {
    for (const auto key : open_slots())
      shard_.drop(key);
    targets_.clear();
    shard_.renew_gradients();
  }

  payload blank() override {
    return outgoing(at::zeros(
        {options_.microbatch_size, options_.shard.model.context, options_.shard.model.dim},
        at::TensorOptions{device_}.dtype(type_)));
  }

  payload first_infer(microbatch_id batch) override {
    return outgoing(shard_.infer(split(options_.samples.validation(batch)).first));
  }

  payload infer(const payload& input) override { return outgoing(shard_.infer(checked(input))); }

  loss_output infer_loss(microbatch_id batch, const payload& hidden) override {
    const auto targets = split(options_.samples.validation(batch)).second;
    const auto losses = shard_.token_losses(checked(hidden), targets);
    return {losses.to(at::kDouble).sum().item<double>(), losses.numel(), {}};
  }

  std::int64_t gradient_size() override { return shard_.size(); }

  payload gradient_view(std::int64_t offset, std::int64_t count) override {
    return to_payload(shard_.gradients().narrow(0, offset, count));
  }

  void sum_shares(std::int64_t offset, std::span<const payload> shares) override {
    std::int64_t count = 0;
    for (const auto& share : shares)
      if (!share.empty())
        count = share.desc.shape.at(0);
    auto own = shard_.gradients().narrow(0, offset, count);
    // In replica order, whatever arrived first, so that floating point sums are reproducible too:
    // all that stands before the own share is summed first.
    at::Tensor sum;
    const auto add = [&](const at::Tensor& term) {
      if (!sum.defined())
        sum = term.is_same(own) ? own : term.to(own.device(), own.scalar_type(), false, true);
      else
        sum.add_(term.to(own.device()));
    };
    for (const auto& share : shares)
      add(share.empty() ? own : gradient_of(share, own));
    if (!sum.is_same(own))
      own.copy_(sum);
  }

  void write_gradient(std::int64_t offset, const payload& sum) override {
    auto own = shard_.gradients().narrow(0, offset, sum.desc.shape.at(0));
    own.copy_(gradient_of(sum, own));
  }

  std::vector<double> squared_norms() override { return shard_.squared_norms(); }

  void update(iteration_no iteration, double clip_factor) override {
    shard_.step(iteration, clip_factor);
    shard_.zero_gradients();
  }

  void clear_gradients() override { shard_.zero_gradients(); }

  std::uint64_t hash() override { return shard_.hash(); }

  std::function<void()> snapshot(iteration_no iteration) override {
    auto taken = std::make_shared<model::shard_snapshot>(
        model::take_snapshot(shard_, options_.shard.range.stage, iteration));
    return [taken = std::move(taken), write = options_.write_snapshot] { write(*taken); };
  }

private:
  at::Tensor checked(const payload& input) const {
    auto tensor = to_tensor(input);
    const std::int64_t rows = options_.microbatch_size, time = options_.shard.model.context,
                       channels = options_.shard.model.dim;
    if (tensor.dim() != 3 || tensor.size(0) != rows || tensor.size(1) != time
        || tensor.size(2) != channels)
      throw std::invalid_argument("an activation of another shape than this job's");
    // What came as bfloat16 is computed on in the shard's own type.
    return options_.wire_bfloat16 ? tensor.to(device_, type_) : tensor.to(device_);
  }

  payload outgoing(const at::Tensor& tensor) const {
    return to_payload(options_.wire_bfloat16 ? tensor.to(at::kBFloat16) : tensor);
  }

  static at::Tensor gradient_of(const payload& share, const at::Tensor& own) {
    auto tensor = to_tensor(share);
    if (tensor.scalar_type() != own.scalar_type() || tensor.numel() != own.numel())
      throw std::invalid_argument("a gradient of another type or size than this stage's");
    return tensor;
  }

  std::pair<at::Tensor, at::Tensor> split(const std::vector<std::int64_t>& tokens) const {
    const std::int64_t rows = options_.microbatch_size, time = options_.shard.model.context;
    if (static_cast<std::int64_t>(tokens.size()) != rows * (time + 1))
      throw std::invalid_argument("a sample of " + std::to_string(tokens.size()) + " tokens");
    const auto all = at::tensor(tokens, at::kLong).view({rows, time + 1});
    return {all.narrow(1, 0, time).contiguous().to(device_),
            all.narrow(1, 1, time).contiguous().to(device_)};
  }

  std::vector<slot> open_slots() const { return shard_.slots(); }

  torch_shard_options options_;
  model::shard shard_;
  at::Device device_;
  at::ScalarType type_; ///< Of activations.
  std::map<slot, at::Tensor> targets_;
};

} // namespace

void limit_intra_op_threads(int threads) { at::set_num_threads(threads); }

std::unique_ptr<shard_worker> make_torch_shard(torch_shard_options options) {
  return std::make_unique<torch_shard>(std::move(options));
}

} // namespace skippipe::actors
