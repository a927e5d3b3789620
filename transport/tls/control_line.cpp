#include "transport/tls/control_line.hpp"

namespace skippipe::transport::tls {
control_line::control_line(unique_fd fd, bool accepted) {
  stream_.fd = std::move(fd);
  stream_.accepted = accepted;
}

void control_line::send(const relay_message& m) {
  const auto bytes = encode(m);
  out_.insert(out_.end(), bytes.begin(), bytes.end());
}

bool control_line::wants_out() const {
  return stream_.at == stream::phase::connecting || stream_.write_blocked
         || (open() && !out_.empty());
}

bool control_line::advance(SSL_CTX* context, std::vector<relay_message>& heard,
                           std::string& problem) {
  stream_.write_blocked = false;
  if (stream_.at == stream::phase::connecting) {
    const connecting state = connected(fd());
    if (state != connecting::done || !stream_.begin_tls(context)) {
      problem = "cannot connect";
      return state == connecting::pending;
    }
    stream_.at = stream::phase::handshaking;
  }
  if (stream_.at == stream::phase::handshaking) {
    const io result = stream_.handshake();
    if (result == io::closed)
      problem = "TLS handshake failed: " + ssl_problem();
    if (result != io::done)
      return result == io::blocked;
    stream_.name = peer_name(stream_.ssl.get());
    stream_.at = stream::phase::open;
  }
  problem = "closed";
  for (;;) {
    std::byte part[relay_message_size];
    std::size_t n = 0;
    const io result = stream_.read({part, relay_message_size - in_.size()}, n);
    if (result == io::closed)
      return false;
    if (result == io::blocked)
      break;
    in_.insert(in_.end(), part, part + n);
    if (in_.size() < relay_message_size)
      continue;
    const auto m = decode_relay_message(in_);
    in_.clear();
    if (!m) {
      problem = "malformed";
      return false;
    }
    heard.push_back(*m);
  }
  return flush();
}

bool control_line::flush() {
  while (!out_.empty()) {
    std::size_t n = 0;
    const io result = stream_.write(out_, n);
    if (result != io::done)
      return result == io::blocked;
    out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(n));
  }
  return stream_.flush() != io::closed;
}

} // namespace skippipe::transport::tls
