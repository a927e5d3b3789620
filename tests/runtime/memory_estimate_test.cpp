// The memory estimate against the sizes that it stands for.
#include "runtime/config/memory_estimate.hpp"

#include <catch2/catch.hpp>

using namespace skippipe;
using namespace skippipe::runtime;

namespace {

memory_question small() {
  memory_question q;
  q.model.dim = 8;
  q.model.layers = 2;
  q.model.heads = 2;
  q.model.kv_heads = 1;
  q.model.ffn = 16;
  q.model.vocab = 10;
  q.model.context = 4;
  q.range = {1, 1, 1};
  q.microbatch_size = 3;
  q.memory_microbatches = 5;
  return q;
}

// Two norms, q and o, k and v, gate, up and down.
constexpr std::uint64_t layer_parameters = 2 * 8 + 2 * 64 + 2 * 32 + 3 * 128;
constexpr std::uint64_t rows = 3 * 4;

} // namespace

TEST_CASE("weights, gradients and optimizer count every parameter", "[config][memory]") {
  auto q = small();
  auto m = estimate_memory(q);
  CHECK(m.weights == layer_parameters * 4);
  CHECK(m.gradients == layer_parameters * 4);
  CHECK(m.optimizer == layer_parameters * 8);
  CHECK(m.snapshot == 0);

  q.range = {0, 0, 1}; // An origin also holds embedding, final norm and head.
  CHECK(estimate_memory(q).weights == (layer_parameters + 2 * 80 + 8) * 4);
  q.model.tied = true;
  CHECK(estimate_memory(q).weights == (layer_parameters + 80 + 8) * 4);
}

TEST_CASE("dtype, fixed point and snapshots change the sizes", "[config][memory]") {
  auto q = small();
  q.model.compute = model::dtype::bfloat16;
  CHECK(estimate_memory(q).weights == layer_parameters * (4 + 2));
  q.model.compute = model::dtype::float64;
  CHECK(estimate_memory(q).weights == layer_parameters * 8);
  q = small();
  q.deterministic = true;
  q.snapshot = true;
  CHECK(estimate_memory(q).gradients == layer_parameters * 8);
  CHECK(estimate_memory(q).snapshot == layer_parameters * 12);
}

TEST_CASE("activations grow with what is in flight", "[config][memory]") {
  auto q = small();
  // x, q, attended, middle: 8 each; k, v: 4 each; gate, up: 16 each; 2 heads' probabilities over 4
  // positions; two statistics.
  CHECK(activation_bytes(q) == rows * ((4 * 8 + 2 * 4 + 2 * 16 + 2 * 4) * 4 + 2 * 4));
  CHECK(estimate_memory(q).activations == 5 * activation_bytes(q));
  CHECK(estimate_memory(q).boundary == 5 * 3 * rows * 8 * 4);
  q.model.recompute = true;
  CHECK(activation_bytes(q) == rows * 8 * 4);
}
