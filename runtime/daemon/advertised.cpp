#include "runtime/daemon/advertised.hpp"

#include "runtime/config/interfaces.hpp"

#include <arpa/inet.h>
#include <netdb.h>

#include <memory>
#include <stdexcept>

namespace skippipe::runtime::daemon {

std::string advertised_host(const node_config& node, const std::string& listen_host) {
  if (!node.advertise.empty()) {
    const auto given = parse_address(node.advertise);
    return given ? given->host : node.advertise;
  }
  if (listen_host == "0.0.0.0" || listen_host == "::")
    for (const auto& one : local_interfaces()) {
      const bool six = one.address.find(':') != std::string::npos;
      if (!is_loopback(one.address) && six == (listen_host == "::")
          && !one.address.starts_with("fe80:"))
        return one.address;
    }
  return listen_host;
}

std::string advertised_control(const node_config& node, std::uint16_t port) {
  const auto given = parse_address(node.advertise);
  return given ? given->text() : address{advertised_host(node, node.listen.host), port}.text();
}

std::string numeric_address(const std::string& host, std::uint16_t port) {
  addrinfo hints{}, *all = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &all) != 0 || all == nullptr)
    throw std::runtime_error("node.advertise = '" + host
                             + "': no machine is known by that name; give its address");
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> guard{all, &::freeaddrinfo};
  char text[NI_MAXHOST] = {};
  ::getnameinfo(all->ai_addr, all->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  return address{text, port}.text();
}

} // namespace skippipe::runtime::daemon
