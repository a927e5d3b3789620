#include "runtime/config/interfaces.hpp"

#include "runtime/config/address.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <map>

namespace skippipe::runtime {

namespace {

/// The address family and the bytes of a numeric address; 0 for anything else.
int parse_numeric(const std::string& text, std::array<std::uint8_t, 16>& bytes) {
  if (::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1)
    return AF_INET;
  return ::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1 ? AF_INET6 : 0;
}

bool is_of_link(const std::string& text) {
  return address_prefix::parse("fe80::/10")->contains(text);
}

} // namespace

std::optional<address_prefix> address_prefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  address_prefix prefix;
  prefix.family_ = parse_numeric(std::string(text.substr(0, slash)), prefix.bytes_);
  if (prefix.family_ == 0)
    return std::nullopt;
  const unsigned most = prefix.family_ == AF_INET ? 32 : 128;
  prefix.bits_ = most;
  if (slash == std::string_view::npos)
    return prefix;
  const auto digits = text.substr(slash + 1);
  const auto* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, prefix.bits_);
  if (error != std::errc{} || stop != end || digits.empty() || prefix.bits_ > most)
    return std::nullopt;
  return prefix;
}

bool address_prefix::contains(std::string_view host) const {
  std::array<std::uint8_t, 16> other{};
  if (parse_numeric(std::string(host), other) != family_ || family_ == 0)
    return false;
  for (unsigned bit = 0; bit < bits_; ++bit) {
    const auto mask = static_cast<std::uint8_t>(0x80u >> (bit % 8));
    if (((bytes_[bit / 8] ^ other[bit / 8]) & mask) != 0)
      return false;
  }
  return true;
}

std::vector<local_interface> local_interfaces() {
  std::vector<local_interface> found;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0)
    return found;
  for (const auto* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr)
      continue;
    const int family = one->ifa_addr->sa_family;
    const void* address = nullptr;
    if (family == AF_INET)
      address = &reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr;
    else if (family == AF_INET6)
      address = &reinterpret_cast<const sockaddr_in6*>(one->ifa_addr)->sin6_addr;
    char text[INET6_ADDRSTRLEN] = {};
    if (address != nullptr && ::inet_ntop(family, address, text, sizeof text) != nullptr)
      found.push_back({one->ifa_name, text});
  }
  ::freeifaddrs(all);
  return found;
}

bool is_trusted(const local_interface& one, const std::vector<std::string>& trusted) {
  return is_loopback(one.address)
         || std::any_of(trusted.begin(), trusted.end(), [&](const std::string& entry) {
              const auto prefix = address_prefix::parse(entry);
              return prefix ? prefix->contains(one.address) : entry == one.name;
            });
}

std::string ucx_address(const std::vector<local_interface>& here, const std::string& name) {
  std::string six;
  for (const auto& one : here) {
    if (one.name != name)
      continue;
    if (one.address.find(':') == std::string::npos)
      return one.address;
    if (six.empty() && !is_of_link(one.address))
      six = one.address;
  }
  return six;
}

std::string list_interfaces(const std::vector<local_interface>& here) {
  std::map<std::string, std::string> addresses;
  for (const auto& one : here)
    if (!is_loopback(one.address) && !is_of_link(one.address)) {
      auto& text = addresses[one.name];
      text += (text.empty() ? "" : ", ") + one.address;
    }
  std::string result;
  for (const auto& [name, text] : addresses)
    result += (result.empty() ? "" : ", ") + name + " (" + text + ")";
  return result.empty() ? "none" : result;
}

std::vector<std::string> absent_names(const std::vector<local_interface>& here,
                                      const std::vector<std::string>& trusted) {
  std::vector<std::string> absent;
  for (const auto& entry : trusted)
    if (!address_prefix::parse(entry)
        && std::none_of(here.begin(), here.end(),
                        [&](const local_interface& one) { return one.name == entry; }))
      absent.push_back(entry);
  return absent;
}

} // namespace skippipe::runtime
