// Everything that can go wrong with a connection or a transfer.
#pragma once

#include <system_error>

namespace skippipe::transport {

enum class errc {
  closed = 1,        ///< This endpoint is closed, or was before the transfer ended.
  canceled,          ///< The caller canceled the transfer.
  timed_out,         ///< The transfer's deadline passed, or a handshake took too long.
  peer_lost,         ///< The connection broke, or the peer closed it.
  unknown_peer,      ///< Not connected to that peer.
  already_connected, ///< `connect` to a peer that is connected.
  refused,           ///< The receiver's `place` returned an empty buffer.
  header_too_large,  ///< Above `limits::max_header`.
  payload_too_large, ///< Above `limits::max_payload`.
  too_many_pending,  ///< Above `limits::max_pending`; wait for completions.
  malformed,         ///< Bytes off the wire that no correct peer sends.
  corrupted,         ///< A checksum or an authentication tag does not match.
  not_authenticated, ///< The peer's certificate, name or key was not accepted.
  bad_address,       ///< An address that this backend cannot use.
  unreachable,       ///< Nobody answers at the address.
  setup_failed,      ///< The backend could not start (device, port, certificate).
};

const std::error_category& transport_category() noexcept;
std::error_code make_error_code(errc code) noexcept;

} // namespace skippipe::transport

template <>
struct std::is_error_code_enum<skippipe::transport::errc> : std::true_type {};
