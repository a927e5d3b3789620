// Network addresses as configuration files write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace skippipe::runtime {

/// "HOST:PORT"; an IPv6 host stands in brackets, "[::1]:7000".
struct address {
  std::string host;
  std::uint16_t port = 0; ///< 0: any free one.
  std::string text() const;
  friend bool operator==(const address&, const address&) = default;
};
std::optional<address> parse_address(std::string_view text);

/// Only this machine can reach it: 127.0.0.0/8, ::1 or "localhost".
bool is_loopback(std::string_view host);

/// "LOW-HIGH", both included.
struct port_range {
  std::uint16_t low = 0, high = 0; ///< 0, 0: any.
  friend bool operator==(const port_range&, const port_range&) = default;
};
std::optional<port_range> parse_port_range(std::string_view text);

} // namespace skippipe::runtime
