#include "transport/ucx/runtime.hpp"

#include <ucs/debug/debug.h>
#include <ucs/debug/log_def.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <mutex>

namespace skippipe::transport::ucx {
namespace {

ucs_log_func_rc_t drop_log(const char*, unsigned, const char*, ucs_log_level_t level,
                           const ucs_log_component_config_t*, const char*, va_list) {
  // UCX prints to stdout, which belongs to the program. What goes wrong is reported as an
  // error_code; only a fatal message, after which UCX aborts, is worth its line.
  return level == UCS_LOG_LEVEL_FATAL ? UCS_LOG_FUNC_RC_CONTINUE : UCS_LOG_FUNC_RC_STOP;
}

/// UCX takes over crash signals when its library is loaded; they are the program's.
void tame_process() {
  static std::once_flag once;
  std::call_once(once, [] {
    ucs_log_push_handler(&drop_log);
    for (const int signal : {SIGILL, SIGSEGV, SIGBUS, SIGFPE})
      ucs_debug_disable_signal(signal);
  });
}

bool set(const unique_config& config, const char* key, const std::string& value) {
  return ucp_config_modify(config.get(), key, value.c_str()) == UCS_OK;
}

} // namespace

std::error_code open_runtime(const ucx_options& options, runtime& out) {
  if (options.devices.empty() || options.transports.empty())
    return errc::setup_failed;
  tame_process();

  ucp_config_t* raw_config = nullptr;
  if (ucp_config_read(nullptr, nullptr, &raw_config) != UCS_OK)
    return errc::setup_failed;
  const unique_config config(raw_config);
  // A connect to a silent address must not stop the progress thread: CONN_NB. Settings of tcp itself
  // are looked up without their TCP_ (unlike the environment's names).
  // UCX's tcp completes a zero-copy send twice, and aborts the process, when the peer dies between two
  // writes of it (1.13, and later ones by their source): ZCOPY_THRESH. Copying into the send buffer costs no bandwidth that
  // bench/transport can see.
  if (!set(config, "TLS", options.transports) || !set(config, "NET_DEVICES", options.devices)
      || !set(config, "CONN_NB", "y") || !set(config, "ZCOPY_THRESH", "inf")
      || !set(config, "RX_SEG_SIZE", std::to_string(options.segment_bytes))
      || !set(config, "TX_SEG_SIZE", std::to_string(options.segment_bytes))
      || (!options.port_range.empty() && !set(config, "PORT_RANGE", options.port_range)))
    return errc::setup_failed;

  ucp_params_t context_params{};
  context_params.field_mask = UCP_PARAM_FIELD_FEATURES;
  context_params.features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP;
  ucp_context_h context = nullptr;
  if (ucp_init(&context_params, config.get(), &context) != UCS_OK)
    return errc::setup_failed;
  out.context.reset(context);

  ucp_worker_params_t worker_params{};
  worker_params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE | UCP_WORKER_PARAM_FIELD_EVENTS;
  worker_params.thread_mode = UCS_THREAD_MODE_SERIALIZED;
  worker_params.events = UCP_WAKEUP_RX | UCP_WAKEUP_TX;
  ucp_worker_h worker = nullptr;
  if (ucp_worker_create(context, &worker_params, &worker) != UCS_OK)
    return errc::setup_failed;
  out.worker.reset(worker);

  ucp_worker_attr_t attributes{};
  attributes.field_mask = UCP_WORKER_ATTR_FIELD_ADDRESS | UCP_WORKER_ATTR_FIELD_MAX_AM_HEADER;
  if (ucp_worker_query(worker, &attributes) != UCS_OK
      || ucp_worker_get_efd(worker, &out.event_fd) != UCS_OK)
    return errc::setup_failed;
  // UCX aborts the process when a header does not fit with the rendezvous request: keep clear.
  out.max_inline_header = std::min<std::size_t>(attributes.max_am_header, 4096);
  const auto* first = reinterpret_cast<const std::byte*>(attributes.address);
  out.worker_address.assign(first, first + attributes.address_length);
  ucp_worker_release_address(worker, attributes.address);
  return {};
}

} // namespace skippipe::transport::ucx
