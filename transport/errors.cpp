#include "transport/errors.hpp"

#include <string>

namespace skippipe::transport {
namespace {

class category final : public std::error_category {
public:
  const char* name() const noexcept override { return "transport"; }
  std::string message(int value) const override {
    switch (static_cast<errc>(value)) {
      case errc::closed:
        return "the endpoint is closed";
      case errc::canceled:
        return "the transfer was canceled";
      case errc::timed_out:
        return "the deadline passed";
      case errc::peer_lost:
        return "the connection to the peer is lost";
      case errc::unknown_peer:
        return "not connected to that peer";
      case errc::already_connected:
        return "already connected to that peer";
      case errc::refused:
        return "the receiver refused the payload";
      case errc::header_too_large:
        return "the header exceeds the limit";
      case errc::payload_too_large:
        return "the payload exceeds the limit";
      case errc::too_many_pending:
        return "too many transfers are pending";
      case errc::malformed:
        return "malformed bytes from the peer";
      case errc::corrupted:
        return "the bytes were corrupted on the way";
      case errc::not_authenticated:
        return "the peer could not be authenticated";
      case errc::bad_address:
        return "the address cannot be used";
      case errc::unreachable:
        return "nobody answers at the address";
      case errc::setup_failed:
        return "the transport could not start";
    }
    return "unknown transport error";
  }
};

} // namespace

const std::error_category& transport_category() noexcept {
  static const category instance;
  return instance;
}

std::error_code make_error_code(errc code) noexcept {
  return {static_cast<int>(code), transport_category()};
}

} // namespace skippipe::transport
