// What devices other than the CPU run, on the CPU: ATen's operators in place of the fused loops.
#include "model/device.hpp"
#include "model/fused.hpp"
#include "model/shard.hpp"
#include "tests/model/relative.hpp"

#include <ATen/ATen.h>
#include <catch2/catch.hpp>

#include <limits>
#include <stdexcept>

using namespace skippipe::model;
using skippipe::testing::relative;

namespace {

shard_options options_of(dtype compute, accumulation gradients, bool recompute) {
  shard_options o;
  o.model.dim = 32;
  o.model.layers = 2;
  o.model.heads = 4;
  o.model.kv_heads = 2;
  o.model.ffn = 40;
  o.model.vocab = 31;
  o.model.context = 8;
  o.model.compute = compute;
  o.model.recompute = recompute;
  o.range = {0, 0, o.model.layers};
  o.accumulate = gradients;
  o.optimizer.lr = 1e-3;
  o.optimizer.total_iterations = 10;
  o.seed = 11;
  return o;
}

/// The fused loops are off as long as it lives.
struct other_device {
  other_device() { set_fused_loops(false); }
  ~other_device() { set_fused_loops(true); }
};

struct outcome {
  double loss = 0, token_loss = 0;
  at::Tensor gradients, values;
  std::vector<double> norms;
};

/// Three iterations of two microbatches.
outcome train(const shard_options& o) {
  shard s{o};
  outcome result;
  const std::int64_t time = o.model.context, vocabulary = o.model.vocab;
  const auto tokens = [&](std::int64_t seed) {
    return at::arange(2 * time, at::kLong)
        .mul_(seed * 7 + 3)
        .add_(seed)
        .remainder_(vocabulary)
        .view({2, time});
  };
  for (std::uint64_t iteration = 1; iteration <= 3; ++iteration) {
    s.zero_gradients();
    for (std::int64_t microbatch = 0; microbatch < 2; ++microbatch) {
      const auto in = tokens(microbatch), out = tokens(microbatch + 1);
      auto end = s.loss(1, s.forward(1, in), out, 0.03);
      s.backward(1, end.grad);
      result.loss += end.loss_sum;
    }
    if (iteration == 1)
      result.gradients = s.gradients().clone();
    result.norms = s.squared_norms();
    s.step(iteration, 0.5);
  }
  result.token_loss = s.token_losses(s.infer(tokens(5)), tokens(6)).sum().item<double>();
  result.values = s.values().clone();
  return result;
}

} // namespace

TEST_CASE("other devices' operators equal the fused loops", "[model][shard][device]") {
  const auto [type, close] = GENERATE(table<dtype, double>(
      {{dtype::float64, 1e-12}, {dtype::float32, 1e-5}, {dtype::bfloat16, 2e-2}}));
  const auto gradients = GENERATE(accumulation::native, accumulation::fixed_point);
  const bool recompute = GENERATE(false, true);
  const auto o = options_of(type, gradients, recompute);
  const auto fused = train(o);
  const other_device device;
  const auto plain = train(o);
  CHECK(plain.loss == Approx(fused.loss).epsilon(close));
  CHECK(plain.token_loss == Approx(fused.token_loss).epsilon(close));
  // In fixed point a unit is 2^-44.
  CHECK(relative(plain.gradients, fused.gradients) < close + 1e-10);
  CHECK(relative(plain.values, fused.values) < close + 1e-10);
  REQUIRE(plain.norms.size() == fused.norms.size());
  for (std::size_t i = 0; i < plain.norms.size(); ++i)
    CHECK(plain.norms[i] == Approx(fused.norms[i]).epsilon(10 * close + 1e-9));
}

TEST_CASE("other devices too refuse what fixed point cannot hold", "[model][shard][device][R12]") {
  const auto o = options_of(dtype::float32, accumulation::fixed_point, false);
  const other_device device;
  shard s{o};
  const std::int64_t time = o.model.context;
  const auto in = at::zeros({1, time}, at::kLong);
  auto hidden = s.forward(1, in);
  const auto scale = GENERATE(std::numeric_limits<double>::infinity(), 1e12);
  CHECK_THROWS_AS(s.loss(1, hidden, in, scale), std::range_error);
}

TEST_CASE("a device that is not here is named before anything starts", "[model][device][R10]") {
  CHECK(device_obstacle("cpu").empty());
  CHECK(device_obstacle("cuda:banana") == "expected 'cpu' or 'cuda:N'");
  CHECK(device_obstacle("meta") == "expected 'cpu' or 'cuda:N'");
  if (at::hasCUDA())
    CHECK(device_obstacle("cuda:99").find("counted from 0") != std::string::npos);
  else
    CHECK(device_obstacle("cuda:0") == "LibTorch finds no CUDA device here; choose 'cpu'");
}
