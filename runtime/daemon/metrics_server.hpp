// `[metrics] listen`: a node's figures for Prometheus, over HTTP.
#pragma once

#include "runtime/config/address.hpp"

#include <functional>
#include <string>
#include <thread>

namespace skippipe::runtime::daemon {

/// Answers GET /metrics, one request after the other, from a thread of its own. Whoever is slow or sends
/// much is dropped: a request has two seconds and 8 KiB. Nothing can be changed through it, and nobody is
/// asked who he is: listen on loopback or a trusted interface.
class metrics_server {
public:
  /// `text` is called on the server's thread. Throws std::runtime_error with one line.
  metrics_server(const address& at, std::function<std::string()> text);
  ~metrics_server();
  metrics_server(const metrics_server&) = delete;
  metrics_server& operator=(const metrics_server&) = delete;

  std::uint16_t port() const { return port_; }
  std::string where() const { return address{host_, port_}.text(); } ///< HOST:PORT.

private:
  void run();
  void serve(int peer);
  void open(const address& at);

  const std::string host_;
  const std::function<std::string()> text_;
  int listener_ = -1, stop_ = -1; ///< A socket; an eventfd.
  std::uint16_t port_ = 0;
  std::thread thread_;
};

} // namespace skippipe::runtime::daemon
