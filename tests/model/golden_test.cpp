// Logits, loss and gradients against an independent implementation (tests/golden/llama_golden.py).
#include "model/shard.hpp"

#include <ATen/ATen.h>
#include <catch2/catch.hpp>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

using namespace skippipe::model;

namespace {

std::map<std::string, std::vector<double>> load() {
  std::ifstream in{SKIPPIPE_SOURCE_DIR "/tests/golden/llama_golden.txt"};
  std::map<std::string, std::vector<double>> result;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words{line};
    std::string name;
    words >> name;
    for (double value; words >> value;)
      result[name].push_back(value);
  }
  return result;
}

void compare(const std::string& name, const at::Tensor& got, const std::vector<double>& want,
             double tolerance) {
  INFO(name);
  REQUIRE(got.numel() == static_cast<std::int64_t>(want.size()));
  const auto expected = at::tensor(want, at::kDouble);
  const auto difference = (got.to(at::kDouble).reshape({-1}) - expected).norm().item<double>();
  CHECK(difference <= tolerance * expected.norm().item<double>());
}

} // namespace

TEST_CASE("a LLaMA equals its golden values", "[model][golden]") {
  const auto type = GENERATE(dtype::float64, dtype::float32);
  const double tolerance = type == dtype::float64 ? 1e-11 : 2e-5;
  const auto golden = load();
  REQUIRE(golden.size() == 32);
  shard_options o;
  o.model.dim = 16;
  o.model.layers = 3;
  o.model.heads = 4;
  o.model.kv_heads = 2;
  o.model.ffn = 24;
  o.model.vocab = 31;
  o.model.context = 5;
  o.model.compute = type;
  o.range = {0, 0, 3};
  shard s{o};
  double k = 0;
  for (const auto& info : s.parameters()) {
    k += 1;
    const auto wave = at::arange(info.size, at::kDouble).mul_(0.37).add_(k).sin_();
    s.values()
        .narrow(0, info.offset, info.size)
        .copy_(info.shape.size() == 1 ? wave.mul(0.1).add_(1) : wave.mul(0.3));
  }
  s.values_changed();
  const auto in = at::arange(10, at::kLong).mul_(7).add_(3).remainder_(31).view({2, 5});
  const auto out = at::arange(10, at::kLong).mul_(5).add_(1).remainder_(31).view({2, 5});
  compare("logits", s.logits(s.infer(in)), golden.at("logits"), tolerance);
  const auto end = s.loss(1, s.forward(1, in), out, 0.1);
  CHECK(end.loss_sum / 10 == Approx(golden.at("loss")[0]).epsilon(tolerance));
  s.backward(1, end.grad);
  for (const auto& info : s.parameters())
    compare(info.name, s.gradients().narrow(0, info.offset, info.size), golden.at(info.name),
            tolerance);
}
