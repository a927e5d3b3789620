#include "model/fused.hpp"

#include <atomic>

namespace skippipe::model {

namespace {
std::atomic<bool> fused_loops{true};
} // namespace

bool uses_fused_loops(const at::Tensor& x) {
  return x.is_cpu() && fused_loops.load(std::memory_order_relaxed);
}

void set_fused_loops(bool on) { fused_loops.store(on, std::memory_order_relaxed); }

} // namespace skippipe::model
