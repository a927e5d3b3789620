// Where the loops that are written for the CPU apply.
#pragma once

#include <ATen/core/Tensor.h>

namespace skippipe::model {

/// Whether the loops written for the CPU serve `x`; ATen's own operators serve every other device.
bool uses_fused_loops(const at::Tensor& x);

/// Off: tensors on the CPU go the way of all other devices, too. So tests reach that way on machines
/// that have no such device. Process-wide, on from the start; any thread.
void set_fused_loops(bool on);

} // namespace skippipe::model
