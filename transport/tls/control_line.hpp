// Relay messages over one TLS connection, either side of it.
#pragma once

#include "transport/tls/relay_wire.hpp"
#include "transport/tls/stream.hpp"

namespace skippipe::transport::tls {

/// Knows neither epoll nor time: call `advance` when the socket may be ready.
class control_line {
public:
  /// A socket that is connected or, where it was dialed, about to be.
  control_line(unique_fd fd, bool accepted);

  /// Does what the socket allows and appends the messages that came; false, with the reason, when the
  /// line has ended.
  bool advance(SSL_CTX* context, std::vector<relay_message>& heard, std::string& problem);

  /// Goes out with the next `advance`.
  void send(const relay_message& m);

  /// What to ask epoll for.
  bool wants_out() const;
  /// Handshaken; `name` is the other side's certificate's.
  bool open() const noexcept { return stream_.at == stream::phase::open; }
  const std::string& name() const noexcept { return stream_.name; }
  const SSL* ssl() const noexcept { return stream_.ssl.get(); } ///< Null before the handshake.
  int fd() const noexcept { return stream_.fd.get(); }

private:
  bool flush();

  stream stream_;
  std::vector<std::byte> out_, in_;
};

} // namespace skippipe::transport::tls
