#include "runtime/config/address.hpp"

#include <algorithm>
#include <charconv>

namespace skippipe::runtime {

namespace {

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t value = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end || text.empty())
    return std::nullopt;
  return value;
}

bool host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.'
         || c == '-' || c == '_';
}

bool ipv6_character(char c) {
  return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == '.'
         || c == ':';
}

} // namespace

std::string address::text() const {
  const bool ipv6 = host.find(':') != std::string::npos;
  return (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::optional<address> parse_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos)
    return std::nullopt;
  auto host = text.substr(0, colon);
  const auto port = parse_port(text.substr(colon + 1));
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed)
    host = host.substr(1, host.size() - 2);
  const bool sound =
      !host.empty()
      && std::all_of(host.begin(), host.end(), bracketed ? ipv6_character : host_character);
  if (!port || !sound)
    return std::nullopt;
  return address{std::string{host}, *port};
}

bool is_loopback(std::string_view host) {
  // A name like 127.example.org resolves to anywhere: every character must be of a number.
  const bool numeric = std::all_of(host.begin(), host.end(),
                                   [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
  return host == "localhost" || host == "::1" || (numeric && host.starts_with("127."));
}

std::optional<port_range> parse_port_range(std::string_view text) {
  const auto dash = text.find('-');
  if (dash == std::string_view::npos)
    return std::nullopt;
  const auto low = parse_port(text.substr(0, dash)), high = parse_port(text.substr(dash + 1));
  if (!low || !high || *low == 0 || *low > *high)
    return std::nullopt;
  return port_range{*low, *high};
}

} // namespace skippipe::runtime
