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

/// The names of all interfaces of `here` that are trusted, each once: where UCX may listen.
std::vector<std::string> trusted_devices(const std::vector<local_interface>& here,
                                         const std::vector<std::string>& trusted);

} // namespace skippipe::runtime
