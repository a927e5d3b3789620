// Which network interfaces a configuration trusts.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace skippipe::runtime {

/// "10.0.0.0/8", "fd00::/8", or one address.
class address_prefix {
public:
  static std::optional<address_prefix> parse(std::string_view text);
  /// False for what is no numeric address.
  bool contains(std::string_view host) const;

private:
  int family_ = 0;
  std::array<std::uint8_t, 16> bytes_{};
  unsigned bits_ = 0;
};

/// An address of this machine and the interface that has it.
struct local_interface {
  std::string name, address;
};
std::vector<local_interface> local_interfaces();

/// Whether `trusted` (names of interfaces and prefixes of addresses) covers an interface. Loopback
/// always is.
bool is_trusted(const local_interface& one, const std::vector<std::string>& trusted);

/// Of all addresses of an interface the one that UCX listens on: the first of IPv4, else the first of IPv6 that
/// is not of the link only. Empty: none.
std::string ucx_address(const std::vector<local_interface>& here, const std::string& name);

/// "eth0 (10.0.0.5), eth1 (192.168.7.1, fd00::5)", without what only this machine or this link can reach.
std::string list_interfaces(const std::vector<local_interface>& here);

/// Those words of `trusted` that are names of interfaces which are not here.
std::vector<std::string> absent_names(const std::vector<local_interface>& here,
                                      const std::vector<std::string>& trusted);

} // namespace skippipe::runtime
