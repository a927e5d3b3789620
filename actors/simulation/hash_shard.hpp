// A shard without a model: cheap, exact, and every mistake changes its result.
#pragma once

#include "actors/shard_worker.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <vector>

namespace skippipe::actors::simulation {

/// What a job of hash shards computes, worked out without any actor: the oracle of simulated runs.
///
/// A forward mixes the stage's parameters into the activation; a backward adds to each gradient
/// element a value that depends on parameters, activation, incoming gradient and microbatch; the
/// update mixes the summed gradient and the clip factor into the parameters. All in wrapping 64-bit
/// integers, so sums are exact in any order, and one lost, doubled, stale or misrouted task changes
/// the parameters' hash.
class hash_shard final : public shard_worker {
public:
  static constexpr std::int64_t elements = 24; ///< Parameters, in tensors of 8.
  using gradient = std::array<std::uint64_t, elements>;

  hash_shard(std::uint64_t seed, stage_id stage);
  ~hash_shard() override {
    if (on_end)
      on_end();
  }

  payload first_forward(slot key, iteration_no iteration, microbatch_id id) override;
  payload forward(slot key, const payload& input) override;
  loss_output loss(slot key, const payload& hidden, double scale) override;
  payload backward(slot key, const payload& gradient) override;
  void reset() override;
  payload blank() override;
  payload first_infer(microbatch_id batch) override;
  payload infer(const payload& input) override;
  loss_output infer_loss(microbatch_id batch, const payload& hidden) override;
  std::int64_t gradient_size() override { return elements; }
  payload gradient_view(std::int64_t offset, std::int64_t count) override;
  void sum_shares(std::int64_t offset, std::span<const payload> shares) override;
  void write_gradient(std::int64_t offset, const payload& sum) override;
  std::vector<double> squared_norms() override;
  void update(iteration_no iteration, double clip_factor) override;
  void clear_gradients() override;
  std::uint64_t hash() override;
  std::function<void()> snapshot(iteration_no iteration) override;

  std::size_t in_flight() const { return slots_.size(); }
  std::size_t peak_in_flight() const { return peak_; }
  iteration_no updates() const { return updates_; }
  /// Makes the norms of the next `times` reductions not finite.
  void spoil_norms(unsigned times) { spoiled_ = times; }
  std::function<void(iteration_no, std::uint64_t hash)> on_snapshot;
  std::function<void()> on_end; ///< When it is destroyed.

private:
  void open(slot key, std::uint64_t activation);
  std::uint64_t mix_parameters(std::uint64_t x) const;

  std::uint64_t seed_;
  stage_id stage_;
  std::array<std::uint64_t, elements> parameters_{};
  std::array<std::uint64_t, elements> gradient_{};
  std::map<slot, std::uint64_t> slots_;
  std::map<slot, std::uint64_t> targets_;
  std::size_t peak_ = 0;
  iteration_no updates_ = 0;
  unsigned spoiled_ = 0;
};

} // namespace skippipe::actors::simulation
