// The one place where a tensor meets bytes.
#pragma once

#include "actors/protocol/tensor.hpp"

#include <ATen/core/Tensor.h>

namespace skippipe::actors {

/// The tensor's bytes, shared, not copied, where it is contiguous on the CPU; else one copy. The
/// payload keeps the tensor alive. Throws std::invalid_argument for a dtype that has no wire form.
payload to_payload(const at::Tensor& tensor);

/// A CPU tensor over the payload's bytes, which it keeps alive; no copy. Throws
/// std::invalid_argument where the bytes do not fit the descriptor (R8).
at::Tensor to_tensor(const payload& tensor);

} // namespace skippipe::actors
