#include "actors/emulated_shard.hpp"

#include <chrono>
#include <thread>
#include <utility>

namespace skippipe::actors {

namespace {

class emulated_shard final : public shard_worker {
private:
  template <class Work>
  auto timed(double seconds, Work work) {
    using steady = std::chrono::steady_clock;
    const auto until =
        steady::now()
        + std::chrono::duration_cast<steady::duration>(std::chrono::duration<double>{seconds});
    auto result = work();
    ++times_->tasks;
    if (steady::now() > until)
      ++times_->overruns;
    else
      std::this_thread::sleep_until(until);
    return result;
  }

public:
  emulated_shard(std::unique_ptr<shard_worker> inner, std::shared_ptr<emulated_compute> times)
      : inner_(std::move(inner)), times_(std::move(times)) {}

  payload first_forward(slot key, iteration_no iteration, microbatch_id id) override {
    return timed(times_->forward_s, [&] { return inner_->first_forward(key, iteration, id); });
  }
  payload forward(slot key, const payload& input) override {
    return timed(times_->forward_s, [&] { return inner_->forward(key, input); });
  }
  loss_output loss(slot key, const payload& hidden, double scale) override {
    return timed(times_->loss_s, [&] { return inner_->loss(key, hidden, scale); });
  }
  payload backward(slot key, const payload& gradient) override {
    return timed(times_->backward_s, [&] { return inner_->backward(key, gradient); });
  }

  void reset() override { inner_->reset(); }
  payload blank() override { return inner_->blank(); }
  payload first_infer(microbatch_id batch) override { return inner_->first_infer(batch); }
  payload infer(const payload& input) override { return inner_->infer(input); }
  loss_output infer_loss(microbatch_id batch, const payload& hidden) override {
    return inner_->infer_loss(batch, hidden);
  }
  std::int64_t gradient_size() override { return inner_->gradient_size(); }
  payload gradient_view(std::int64_t offset, std::int64_t count) override {
    return inner_->gradient_view(offset, count);
  }
  void sum_shares(std::int64_t offset, std::span<const payload> shares) override {
    inner_->sum_shares(offset, shares);
  }
  void write_gradient(std::int64_t offset, const payload& sum) override {
    inner_->write_gradient(offset, sum);
  }
  std::vector<double> squared_norms() override { return inner_->squared_norms(); }
  void update(iteration_no iteration, double clip_factor) override {
    inner_->update(iteration, clip_factor);
  }
  void clear_gradients() override { inner_->clear_gradients(); }
  std::uint64_t hash() override { return inner_->hash(); }
  std::function<void()> snapshot(iteration_no iteration) override {
    return inner_->snapshot(iteration);
  }

private:
  std::unique_ptr<shard_worker> inner_;
  std::shared_ptr<emulated_compute> times_;
};

} // namespace

std::unique_ptr<shard_worker> make_emulated_shard(std::unique_ptr<shard_worker> inner,
                                                  std::shared_ptr<emulated_compute> times) {
  return std::make_unique<emulated_shard>(std::move(inner), std::move(times));
}

} // namespace skippipe::actors
