// RAII over the UCX handles, and its status codes in one place.
#pragma once

#include "transport/errors.hpp"

#include <ucp/api/ucp.h>

#include <memory>
#include <type_traits>

namespace skippipe::transport::ucx {

template <class Handle, void (*Release)(Handle)>
struct release_with {
  using pointer = Handle;
  void operator()(Handle h) const noexcept { Release(h); }
};
template <class Handle, void (*Release)(Handle)>
using unique_handle = std::unique_ptr<std::remove_pointer_t<Handle>, release_with<Handle, Release>>;

using unique_config = unique_handle<ucp_config_t*, &ucp_config_release>;
using unique_context = unique_handle<ucp_context_h, &ucp_cleanup>;
using unique_worker = unique_handle<ucp_worker_h, &ucp_worker_destroy>;

/// What a UCX status means to the transport's user.
inline std::error_code to_error(ucs_status_t status) noexcept {
  switch (status) {
    case UCS_OK:
      return {};
    case UCS_ERR_REJECTED:
      return errc::refused;
    case UCS_ERR_CANCELED:
      return errc::canceled;
    case UCS_ERR_UNREACHABLE:
      return errc::unreachable;
    case UCS_ERR_INVALID_ADDR:
      return errc::bad_address;
    default:
      return errc::peer_lost;
  }
}

} // namespace skippipe::transport::ucx
