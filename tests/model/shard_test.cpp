// The hand-written layers against finite differences, against each other and against threads.
#include "model/shard.hpp"
#include "tests/model/relative.hpp"

#include <ATen/ATen.h>
#include <catch2/catch.hpp>

#include <cmath>
#include <thread>

using namespace skippipe::model;
using skippipe::testing::relative;

namespace {

model_options small(dtype compute = dtype::float64) {
  model_options m;
  m.dim = 16;
  m.layers = 2;
  m.heads = 4;
  m.kv_heads = 2;
  m.ffn = 24;
  m.vocab = 29;
  m.context = 6;
  m.compute = compute;
  return m;
}

shard_options whole(const model_options& m) {
  shard_options o;
  o.model = m;
  o.range = {0, 0, m.layers};
  o.seed = 7;
  return o;
}

at::Tensor tokens(const model_options& m, std::int64_t seed) {
  const std::int64_t time = m.context, vocabulary = m.vocab;
  auto t = at::arange(2 * time, at::kLong).mul_(seed * 7 + 3).add_(seed);
  return t.remainder_(vocabulary).view({2, time});
}

/// Sum of the token losses times `scale`, nothing kept.
double loss_of(shard& s, const at::Tensor& in, const at::Tensor& out, double scale) {
  return s.token_losses(s.infer(in), out).sum().item<double>() * scale;
}

/// One forward, loss and backward.
double train_once(shard& s, shard::slot key, const at::Tensor& in, const at::Tensor& out,
                  double scale) {
  auto end = s.loss(key, s.forward(key, in), out, scale);
  s.backward(key, end.grad);
  return end.loss_sum;
}

} // namespace

TEST_CASE("every parameter's gradient equals finite differences", "[model][shard]") {
  const bool tied = GENERATE(false, true);
  const bool recompute = GENERATE(false, true);
  auto m = small();
  m.tied = tied;
  m.recompute = recompute;
  shard s{whole(m)};
  // Values of order one: with the initial 0.02 the attention gradients vanish in rounding.
  for (const auto& info : s.parameters())
    if (info.shape.size() > 1)
      s.values().narrow(0, info.offset, info.size).mul_(10);
  s.values_changed();
  const auto in = tokens(m, 1), out = tokens(m, 2);
  const double scale = 1.0 / static_cast<double>(out.numel());
  train_once(s, 1, in, out, scale);
  const auto gradient = s.gradients().clone();
  const double step = 1e-3;
  for (const auto& info : s.parameters()) {
    INFO(info.name << " tied " << tied << " recompute " << recompute);
    double difference = 0, size = 0;
    // Every seventh element of large tensors: each kind of index is met.
    for (std::int64_t i = info.offset; i<info.offset + info.size; i += info.size> 64 ? 7 : 1) {
      auto value = s.values()[i];
      const double before = value.item<double>();
      const auto at_offset = [&](double offset) {
        value.fill_(before + offset);
        return loss_of(s, in, out, scale);
      };
      // Fourth order: the remainder is far below what a wrong term would make.
      const double numeric =
          (8 * (at_offset(step) - at_offset(-step)) - (at_offset(2 * step) - at_offset(-2 * step)))
          / (12 * step);
      value.fill_(before);
      const double analytic = gradient[i].item<double>();
      difference += (numeric - analytic) * (numeric - analytic);
      size += numeric * numeric;
    }
    CHECK(size > 0);
    CHECK(std::sqrt(difference) <= 1e-7 * std::sqrt(size) + 1e-10);
  }
}

TEST_CASE("shards of any partition compute what one shard computes", "[model][shard]") {
  auto m = small();
  m.layers = 4;
  shard one{whole(m)};
  auto o = whole(m);
  o.range = {0, 0, 1};
  shard first{o};
  o.range = {1, 1, 2};
  shard second{o};
  o.range = {2, 3, 1};
  shard third{o};
  const auto in = tokens(m, 1), out = tokens(m, 2);
  const double loss = train_once(one, 1, in, out, 0.1);
  auto end = first.loss(1, third.forward(1, second.forward(1, first.forward(1, in))), out, 0.1);
  auto grad = first.backward(1, second.backward(1, third.backward(1, end.grad)));
  CHECK_FALSE(grad.defined());
  CHECK(end.loss_sum == Approx(loss).epsilon(1e-12));
  for (auto* part : {&first, &second, &third})
    for (const auto& info : part->parameters())
      for (const auto& same : one.parameters())
        if (same.name == info.name) {
          const auto a = part->gradients().narrow(0, info.offset, info.size);
          const auto b = one.gradients().narrow(0, same.offset, same.size);
          CHECK(relative(a, b) < 1e-12);
          CHECK(at::equal(part->values().narrow(0, info.offset, info.size),
                          one.values().narrow(0, same.offset, same.size)));
        }
}

TEST_CASE("recomputation changes no bit", "[model][shard]") {
  const auto type = GENERATE(dtype::float32, dtype::bfloat16);
  auto m = small(type);
  shard plain{whole(m)};
  m.recompute = true;
  shard again{whole(m)};
  const auto in = tokens(m, 1), out = tokens(m, 2);
  CHECK(train_once(plain, 1, in, out, 0.1) == train_once(again, 1, in, out, 0.1));
  CHECK(at::equal(plain.gradients(), again.gradients()));
}

TEST_CASE("fixed-point gradients do not depend on order", "[model][shard][R12]") {
  const auto type = GENERATE(dtype::float32, dtype::bfloat16);
  auto m = small(type);
  auto o = whole(m);
  shard native{o};
  o.accumulate = accumulation::fixed_point;
  shard forwards{o}, backwards{o};
  for (int i = 0; i < 5; ++i) {
    train_once(forwards, 1, tokens(m, i), tokens(m, i + 1), 0.01);
    train_once(native, 1, tokens(m, i), tokens(m, i + 1), 0.01);
    train_once(backwards, 1, tokens(m, 4 - i), tokens(m, 5 - i), 0.01);
  }
  CHECK(at::equal(forwards.gradients(), backwards.gradients()));
  CHECK(relative(forwards.gradients().to(at::kDouble).mul(std::ldexp(1.0, -44)), native.gradients())
        < (type == dtype::bfloat16 ? 1e-2 : 1e-6));
  CHECK(forwards.squared_norms() == backwards.squared_norms());
  forwards.step(1, 0.5);
  backwards.step(1, 0.5);
  CHECK(forwards.hash() == backwards.hash());
  CHECK(forwards.hash() != native.hash());
}

TEST_CASE("a gradient that is not finite is an error in fixed point", "[model][shard][R12]") {
  auto o = whole(small(dtype::float32));
  o.accumulate = accumulation::fixed_point;
  shard s{o};
  const auto in = tokens(o.model, 1), out = tokens(o.model, 2);
  CHECK_THROWS_AS(train_once(s, 1, in, out, std::numeric_limits<double>::infinity()),
                  std::range_error);
  CHECK_THROWS_AS(train_once(s, 2, in, out, 1e12), std::range_error);
}

TEST_CASE("bfloat16 stays close to float32", "[model][shard]") {
  shard narrow{whole(small(dtype::bfloat16))}, wide{whole(small(dtype::float32))};
  const auto in = tokens(small(), 1), out = tokens(small(), 2);
  const double a = train_once(narrow, 1, in, out, 0.1), b = train_once(wide, 1, in, out, 0.1);
  CHECK(a == Approx(b).epsilon(1e-2));
  CHECK(relative(narrow.gradients(), wide.gradients()) < 5e-2);
  CHECK(narrow.values().scalar_type() == at::kFloat);
}

TEST_CASE("AdamW equals its definition element by element", "[model][optimizer]") {
  auto o = whole(small());
  o.optimizer.lr = 1e-2;
  o.optimizer.total_iterations = 10;
  o.optimizer.warmup = 2;
  shard s{o};
  auto x = s.values().clone(), m = at::zeros_like(x), v = at::zeros_like(x);
  auto decay = at::zeros_like(x);
  for (const auto& info : s.parameters())
    if (info.decay)
      decay.narrow(0, info.offset, info.size).fill_(o.optimizer.weight_decay);
  for (std::uint64_t t = 1; t <= 5; ++t) {
    s.zero_gradients();
    train_once(s, 1, tokens(o.model, 1), tokens(o.model, 2), 0.1);
    const double factor = 0.25;
    const auto g = s.gradients() * factor;
    s.step(t, factor);
    const double lr = learning_rate(o.optimizer, t);
    m = 0.9 * m + 0.1 * g;
    v = 0.95 * v + 0.05 * g * g;
    const double n = static_cast<double>(t);
    x = x * (1 - lr * decay)
        - lr * (m / (1 - std::pow(0.9, n))) / ((v / (1 - std::pow(0.95, n))).sqrt() + 1e-8);
    CHECK(at::allclose(s.values(), x, 1e-12, 1e-14));
  }
}

TEST_CASE("shards in several threads do not disturb each other", "[model][shard]") {
  const auto m = small(dtype::float32);
  const auto run = [&](at::Tensor& result) {
    shard s{whole(m)};
    for (int i = 0; i < 10; ++i) {
      train_once(s, 1, tokens(m, i), tokens(m, i + 1), 0.1);
      s.step(static_cast<std::uint64_t>(i) + 1, 1);
      s.zero_gradients();
    }
    result = s.values().clone();
  };
  std::vector<at::Tensor> results(4);
  run(results[0]);
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < results.size(); ++i)
    threads.emplace_back([&, i] { run(results[i]); });
  for (auto& t : threads)
    t.join();
  for (const auto& r : results)
    CHECK(at::equal(r, results[0]));
}

TEST_CASE("slots are told apart and bad shapes refused", "[model][shard]") {
  const auto m = small(dtype::float32);
  shard s{whole(m)};
  const auto in = tokens(m, 1);
  const auto h = s.forward(1, in);
  CHECK_THROWS_AS(s.forward(1, in), std::invalid_argument);
  CHECK_THROWS_AS(s.backward(2, h), std::invalid_argument);
  CHECK_THROWS_AS(s.backward(1, h.narrow(2, 0, 8)), std::invalid_argument);
  CHECK_THROWS_AS(s.forward(3, h), std::invalid_argument);
  CHECK(s.slots() == std::vector<shard::slot>{1});
  s.drop(1);
  CHECK(s.slots().empty());
}

TEST_CASE("renewed gradients leave the old ones as they were", "[model][shard][R5]") {
  const auto m = small();
  shard s{whole(m)};
  const auto in = tokens(m, 1), out = tokens(m, 2);
  train_once(s, 1, in, out, 1.0);
  const auto view = s.gradients().narrow(0, 0, s.size()); // On its way to a peer, say.
  const auto sent = view.clone();
  s.renew_gradients();
  CHECK(at::equal(view, sent));
  CHECK(s.gradients().abs().max().item<double>() == 0);
  train_once(s, 2, in, out, 1.0);
  CHECK(at::equal(view, sent));
  CHECK(at::equal(s.gradients(), sent)); // Every parameter's sink writes to the new memory.
}
