#include "runtime/daemon/data_endpoint.hpp"

#include "runtime/check/node_check.hpp"
#include "runtime/daemon/advertised.hpp"
#include "runtime/daemon/data_plane.hpp"
#include "transport/ucx/ucx.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

namespace skippipe::runtime::daemon {

std::uint16_t free_port(const std::string& host, const port_range& range) {
  const std::uint32_t low = range.low, high = range.high;
  for (std::uint32_t port = low; port <= high; ++port) {
    addrinfo hints{}, *found = nullptr;
    hints.ai_flags = AI_NUMERICHOST | AI_PASSIVE;
    hints.ai_socktype = SOCK_STREAM;
    if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0)
      return 0;
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> guard{found, &::freeaddrinfo};
    const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool bound = fd >= 0 && ::bind(fd, found->ai_addr, found->ai_addrlen) == 0;
    sockaddr_storage at{};
    socklen_t size = sizeof at;
    if (bound)
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
    ::close(fd);
    if (bound)
      return ntohs(at.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(at).sin6_port
                                            : reinterpret_cast<sockaddr_in&>(at).sin_port);
  }
  return 0;
}

namespace {

std::unique_ptr<transport::endpoint> make_tls(const node_config& node, transport::peer_id life,
                                              const data_place& place, const std::string& host,
                                              std::function<void(const std::string&)> log) {
  auto tls = tls_options_of(node, std::move(log));
  tls.self = life;
  tls.streams = node.tls_streams;
  if (place.relay.empty()) {
    tls.listen = address{host, place.port}.text();
    tls.advertise = numeric_address(advertised_host(node, host), place.port);
  } else {
    tls.listen.clear();
    tls.relay = place.relay;
  }
  return transport::make_tls_endpoint(std::move(tls));
}

} // namespace

transport::tls_options tls_options_of(const node_config& node,
                                      std::function<void(const std::string&)> log) {
  const auto files = credential_files_of(node);
  transport::tls_options tls;
  tls.ca = files->ca;
  tls.certificate = files->certificate;
  tls.key = files->key;
  tls.revoked = files->revoked;
  tls.allow = may_be;
  tls.log = [log = std::move(log)](std::string_view line) { log(std::string{line}); };
  return tls;
}

std::unique_ptr<transport::endpoint>
make_data_endpoint(const node_config& node, transport::peer_id life, const data_place& place,
                   std::function<void(const std::string&)> log) {
  const auto host = node.data_listen.host == "localhost" ? "127.0.0.1" : node.data_listen.host;
  if (node.data_backend == "tls")
    return make_tls(node, life, place, host, std::move(log));
  transport::ucx_options ucx;
  ucx.self = life;
  ucx.transports = node.ucx_tls;
  std::string problem;
  ucx.devices = ucx_device(local_interfaces(), node, problem);
  if (!problem.empty())
    throw std::runtime_error("node.data_listen: " + problem);
  ucx.port_range = std::to_string(place.port) + "-" + std::to_string(place.port);
  ucx.checksum = true;
  return transport::make_ucx_endpoint(std::move(ucx));
}

} // namespace skippipe::runtime::daemon
