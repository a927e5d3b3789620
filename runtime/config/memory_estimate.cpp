#include "runtime/config/memory_estimate.hpp"

#include "model/parameter_layout.hpp"

namespace skippipe::runtime {

namespace {

std::uint64_t element_bytes(model::dtype type) {
  switch (type) {
    case model::dtype::bfloat16:
      return 2;
    case model::dtype::float64:
      return 8;
    case model::dtype::float32:
      break;
  }
  return 4;
}

std::uint64_t rows(const memory_question& q) {
  return std::uint64_t{q.microbatch_size} * q.model.context;
}

} // namespace

std::uint64_t activation_bytes(const memory_question& q) {
  const auto& m = q.model;
  const std::uint64_t channels = m.dim, hidden = m.ffn,
                      kv = std::uint64_t{m.dim} / m.heads * m.kv_heads,
                      element = element_bytes(m.compute);
  // Per row: the layer's input; else also q, k, v, the attended values, the residual between the two
  // halves, gate and up, the attention's probabilities and two norm statistics (model/layer.hpp).
  std::uint64_t per_row = channels * element;
  if (!m.recompute) {
    const std::uint64_t statistic = m.compute == model::dtype::float64 ? 8 : 4;
    per_row += (3 * channels + 2 * kv + 2 * hidden + std::uint64_t{m.heads} * m.context) * element
               + 2 * statistic;
  }
  const std::uint64_t tokens = q.range.origin() ? 2 * sizeof(std::int64_t) : 0; // And targets.
  return rows(q) * (q.range.layer_count * per_row + tokens);
}

memory_estimate estimate_memory(const memory_question& q) {
  std::uint64_t parameters = 0;
  for (const auto& info : model::parameter_layout(q.model, q.range))
    parameters += static_cast<std::uint64_t>(info.size);
  const std::uint64_t element = element_bytes(q.model.compute);
  const std::uint64_t master = q.model.compute == model::dtype::float64 ? 8 : 4;

  memory_estimate result;
  result.weights = parameters * (master + (element < master ? element : 0));
  result.gradients = parameters * (q.deterministic ? sizeof(std::int64_t) : master);
  result.optimizer = 2 * parameters * master;
  result.activations = q.memory_microbatches * activation_bytes(q);
  result.boundary = 3 * q.memory_microbatches * rows(q) * q.model.dim * element;
  result.snapshot = q.snapshot ? 3 * parameters * master : 0;
  return result;
}

} // namespace skippipe::runtime
