// Setting up UCX's context and worker, and taming its process-wide habits.
#pragma once

#include "transport/ucx/handles.hpp"
#include "transport/ucx/ucx.hpp"

#include <vector>

namespace skippipe::transport::ucx {

/// A context and its worker, in dependency order.
struct runtime {
  unique_context context;
  unique_worker worker;
  int event_fd = -1;                 ///< Owned by the worker.
  std::size_t max_inline_header = 0; ///< Bytes that fit before an active message's payload.
  std::vector<std::byte> worker_address;
};

/// Opens UCX on the devices of `options`; `setup_failed` where UCX refuses.
std::error_code open_runtime(const ucx_options& options, runtime& out);

} // namespace skippipe::transport::ucx
